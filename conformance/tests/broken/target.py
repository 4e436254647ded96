"""What the suite is told of the right provider, and so of every broken one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from provider_conformance.target import (
    Existing,
    Faults,
    GeneratorTarget,
    Hang,
    Limits,
    Obj,
    StoreTarget,
    Target,
    Tls,
)
from provider_conformance.tls import Authority

from .right import GENERATOR_API, STORE_API, UNMANAGED, Right, Secret
from .served import Served


class Hook:
    """Seeds past the provider, tags included, as a hook of a real target would."""

    def __init__(self, right: Right) -> None:
        self._right = right

    def put(self, store: str, key: str, value: bytes, tags: Mapping[str, str]) -> None:
        """Create or replace."""
        backend = self._right.backends["team-a", "main"]
        with backend.lock:
            backend.secrets[key] = Secret([value], dict(tags))

    def delete(self, store: str, key: str) -> None:
        """Remove."""
        backend = self._right.backends["team-a", "main"]
        with backend.lock:
            backend.secrets.pop(key, None)


class Certificates:
    """A CA, and the files of both sides; made once for all providers of a run."""

    def __init__(self) -> None:
        self.ca = Authority.make("external-secrets")
        self.client = self.ca.issue("external-secrets-controller")
        self.server = self.ca.issue(
            "external-secrets-provider", names=("localhost", "127.0.0.1"), server=True
        )

    def write(self, folder: Path) -> None:
        """The server's folder."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in (
            ("ca.crt", self.ca.pem),
            ("tls.crt", self.server.cert),
            ("tls.key", self.server.key),
        ):
            (folder / name).write_bytes(content)


def target(served: Served, certificates: Certificates, *, seed_by_hook: bool = True) -> Target:
    """The target of a provider that is served."""
    store = StoreTarget(
        name="memory",
        api_version=STORE_API,
        kind="Memory",
        object="main",
        namespace="team-a",
        seed=Hook(served.right) if seed_by_hook else "push",
        keys=(
            Existing("versioned", b"the first", version="1"),
            Existing("versioned", b"the second", version="2"),
            Existing("versioned", b"the third", version="3"),
            Existing("fixture", b"was here before"),
        ),
        limits=Limits(
            find=("name", "tags", "path"), exists_property=True, metadata_fetch=True, backend_calls=True
        ),
        faults=Faults(
            timeout="fault/timeout",
            unavailable="fault/unavailable",
            denied="fault/denied",
            unauthenticated="fault/unauthenticated",
            rate_limited="fault/rate",
            bug="fault/bug",
            unmanaged=UNMANAGED,
            hang=Hang("fault/hang", Right.HANG_SECONDS),
            slow=Hang("slow", Right.SLOW_SECONDS),
        ),
        second=Obj("main", "team-b"),
        foreign=Obj("main", "team-b"),
        foreign_selector=Obj("borrower", "team-a"),
        referent=Obj("referent", "elsewhere"),
        bad_credentials=Obj("locked-out", "team-a"),
        invalid=Obj("nonsense", "team-a"),
    )
    generator = GeneratorTarget(
        name="token",
        api_version=GENERATOR_API,
        kind="Token",
        object="token",
        namespace="team-a",
        stateful=True,
        foreign=Obj("token", "team-b"),
        foreign_selector=Obj("borrower", "team-a"),
        invalid=Obj("nonsense", "team-a"),
    )
    return Target(
        name=type(served.right).__name__.lower(),
        endpoint=served.endpoint,
        tls=Tls(
            ca=certificates.ca.pem,
            cert=certificates.client.cert,
            key=certificates.client.key,
            ca_key=certificates.ca.key_pem,
            rewrite_dir=served.folder,
        ),
        stores=(store,),
        generators=(generator,),
        metrics_url=served.metrics_url,
        process=served,
    )
