"""A backend in memory, a store over it that counts its calls, and a generator: what the SDK's own tests serve."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Self

import pytest
from hypothesis import HealthCheck, settings
from provider_common import (
    AccessDeniedError,
    Context,
    Find,
    Generated,
    GeneratorV2,
    NoSecretError,
    ProviderV2,
    PushData,
    PushRemoteRef,
    RemoteRef,
    SecretBytes,
    SecretKeySelector,
    ServerConfig,
    Spec,
)
from provider_common.testing import ProviderHarness

# A busy machine is not a failure: no example of a property has to be made, or to end, in time.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


class Manager:
    """What all stores of one token share."""

    def __init__(self, acme: "Acme") -> None:
        self.closed = 0
        acme.managers.append(self)

    def close(self) -> None:
        self.closed += 1


class Acme:
    """The backend. `refuse` holds tokens it does not accept; `gate` holds reads back while it is closed."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.refuse: set[bytes] = set()
        self.calls: list[tuple[str, str]] = []
        self.opened: list[tuple[str, bytes]] = []
        self.closed = 0
        self.managers: list[Manager] = []
        self.opens = True
        self.held_while_generating: list[int] = []
        self.errors: dict[str, Exception] = {}
        self.gate = threading.Event()
        self.gate.set()
        self.gated: set[str] = set()
        self.waiting = threading.Semaphore(0)

    def enter(self, method: str, key: str, token: bytes) -> None:
        self.calls.append((method, key))
        if token in self.refuse:
            raise AccessDeniedError(f"Acme refuses this token for {key!r}")
        if key in self.gated:
            self.waiting.release()
            self.gate.wait(30)
        if key in self.errors:
            raise self.errors[key]

    def reads(self, key: str) -> int:
        return self.calls.count(("get", key))


ACME = Acme()


class AcmeSpec(Spec):
    """Where Acme is, and which token opens it."""

    kind: ClassVar = "AcmeKeyValue"
    token_secret_ref: SecretKeySelector
    label: str = ""


class AcmeStore(ProviderV2[AcmeSpec]):
    """Acme opened with one token."""

    def __init__(self, acme: Acme, token: SecretBytes, ctx: Context[AcmeSpec]) -> None:
        self._acme = acme
        self._token = token
        self._ctx = ctx

    @classmethod
    def open(cls, ctx: Context[AcmeSpec]) -> Self:
        token = ctx.auth.secret_key(ctx.spec.token_secret_ref)
        ctx.shared(("acme", bytes(token)), lambda: Manager(ACME))
        if not ACME.opens:
            raise AccessDeniedError("Acme lets nobody in")
        ACME.opened.append((ctx.spec.label, bytes(token)))
        return cls(ACME, token, ctx)

    def get_secret(self, ref: RemoteRef) -> bytes:
        assert not ref.property
        self._acme.enter("get", ref.key, self._token)
        if ref.key == "whoami":
            return bytes(self._token)
        if ref.key not in self._acme.values:
            raise NoSecretError(ref.key, version=ref.version)
        return self._acme.values[ref.key]

    def get_all_secrets(self, find: Find) -> Mapping[str, bytes]:
        self._acme.enter("find", find.name or "", self._token)
        return {name: value for name, value in self._acme.values.items() if find.name_matches(name)}

    def push_secret(self, data: PushData) -> None:
        self._acme.enter("push", data.remote_key, self._token)
        self._acme.values[data.remote_key] = data.value()

    def delete_secret(self, ref: PushRemoteRef) -> None:
        self._acme.enter("delete", ref.remote_key, self._token)
        if self._acme.values.pop(ref.remote_key, None) is None:
            raise NoSecretError(ref.remote_key)

    def secret_exists(self, ref: PushRemoteRef) -> bool:
        self._acme.enter("exists", ref.remote_key, self._token)
        if ref.remote_key not in self._acme.values:
            raise NoSecretError(ref.remote_key)
        return True

    def close(self) -> None:
        self._acme.closed += 1


class PinSpec(Spec):
    """How long a PIN is."""

    kind: ClassVar = "Pin"
    digits: int = 6
    token_secret_ref: SecretKeySelector | None = None


class PinGenerator(GeneratorV2[PinSpec]):
    """PINs whose state is their length."""

    cleaned: ClassVar[list[object]] = []

    def generate(self, ctx: Context[PinSpec]) -> Generated:
        ctx.shared("pins", lambda: Manager(ACME))
        ACME.held_while_generating.append(len(ctx.holder.holds or ()))
        pin = b"7" * ctx.spec.digits
        if ctx.spec.token_secret_ref is not None:
            pin = bytes(ctx.auth.secret_key(ctx.spec.token_secret_ref))
        return Generated(
            {"pin": pin, "for": ctx.source_namespace.encode()}, state={"digits": ctx.spec.digits}
        )

    def cleanup(self, ctx: Context[PinSpec], state: Mapping[str, Any]) -> None:
        self.cleaned.append(dict(state))


@pytest.fixture
def acme() -> Iterator[Acme]:
    ACME.__init__()  # type: ignore[misc]
    ACME.values["db"] = json.dumps({"user": "admin", "port": 5432}).encode()
    PinGenerator.cleaned.clear()
    yield ACME
    ACME.gate.set()


@pytest.fixture
def serve_acme(acme: Acme) -> Iterator[Callable[..., ProviderHarness]]:
    """Makes harnesses with a ServerConfig of the test's choice; each serves until the test ends."""
    running: list[ProviderHarness] = []

    def start(**config: Any) -> ProviderHarness:
        harness = ProviderHarness(AcmeStore, PinGenerator, config=ServerConfig(**config))
        harness.__enter__()
        running.append(harness)
        return harness

    yield start
    acme.gate.set()
    for harness in running:
        harness.__exit__(None, None, None)


@pytest.fixture
def harness(serve_acme: Callable[..., ProviderHarness]) -> ProviderHarness:
    return serve_acme()


@pytest.fixture
def acme_spec() -> Callable[..., dict[str, Any]]:
    def spec(
        *, name: str = "token", key: str = "value", namespace: str | None = None, label: str = ""
    ) -> dict[str, Any]:
        selector = {"name": name, "key": key, **({"namespace": namespace} if namespace else {})}
        return {"tokenSecretRef": selector, **({"label": label} if label else {})}

    return spec
