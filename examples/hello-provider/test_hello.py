"""What hello.py promises: over real gRPC with mutual TLS, against a real HTTP service."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml
from grpc import StatusCode
from hello import HelloStore, PinGenerator
from provider_common.testing import ProviderHarness, StoreHandle


class Service(ThreadingHTTPServer):
    """The backend: values by key, for who knows the token."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.values = {"greeting": b'{"en": "hello"}', "a/b c": b"\x00\xff"}
        self.token = "open-sesame"
        self.broken = False
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Service
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        key = unquote(self.path.removeprefix("/v1/"))
        self.server.asked.append(key)
        if self.server.broken:
            return self.answer(500)
        if self.headers["Authorization"] != f"Bearer {self.server.token}":
            return self.answer(403)
        return self.answer(200, self.server.values[key]) if key in self.server.values else self.answer(404)

    def answer(self, status: int, body: bytes = b"not for your eyes") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def harness() -> Iterator[ProviderHarness]:
    with ProviderHarness(HelloStore, PinGenerator) as running:
        running.kube.add_secret("default", "hello-token", {"token": b"open-sesame\n"})
        yield running


@pytest.fixture
def store(harness: ProviderHarness, service: Service) -> StoreHandle:
    return harness.add_store(
        "default", {"url": service.url, "tokenSecretRef": {"name": "hello-token", "key": "token"}}
    )


def test_a_secret_is_read_with_the_token(harness: ProviderHarness, store: StoreHandle) -> None:
    """Whole, or a property of it."""
    assert harness.get_secret(store, "greeting") == b'{"en": "hello"}'
    assert harness.get_secret(store, "greeting", property="en") == b"hello"
    assert harness.get_secret_map(store, "greeting") == {"en": b"hello"}


def test_keys_and_values_may_hold_anything(harness: ProviderHarness, store: StoreHandle) -> None:
    """Slashes and blanks in the key, any byte in the value."""
    assert harness.get_secret(store, "a/b c") == b"\x00\xff"


def test_many_properties_cost_one_request(
    harness: ProviderHarness, store: StoreHandle, service: Service
) -> None:
    """The SDK reads the whole secret once."""
    for _ in range(10):
        harness.get_secret(store, "greeting", property="en")

    assert service.asked == ["greeting"]


def test_only_the_service_says_that_a_secret_is_absent(
    harness: ProviderHarness, store: StoreHandle, service: Service
) -> None:
    """Everything else leaves the user's Secret alone."""
    with harness.fails() as failure:
        harness.get_secret(store, "absent")
    assert failure.code is StatusCode.NOT_FOUND

    service.broken = True
    with harness.fails() as failure:
        harness.get_secret(store, "another")
    assert failure.code is StatusCode.UNAVAILABLE
    assert "answered 500" in failure.message


def test_a_refused_token_is_said_and_not_shown(
    harness: ProviderHarness, store: StoreHandle, service: Service
) -> None:
    """Neither the token nor what the service wrote."""
    service.token = "changed"

    with harness.fails() as failure:
        harness.get_secret(store, "greeting")

    assert failure.code is StatusCode.PERMISSION_DENIED
    assert "check tokenSecretRef" in failure.message
    assert "open-sesame" not in failure.message
    assert "eyes" not in failure.message


def test_a_service_that_is_away_may_be_asked_again(harness: ProviderHarness) -> None:
    """Nothing listens on port 1."""
    store = harness.add_store(
        "default", {"url": "http://127.0.0.1:1", "tokenSecretRef": {"name": "hello-token", "key": "token"}}
    )

    with harness.fails() as failure:
        harness.get_secret(store, "greeting")

    assert failure.code is StatusCode.UNAVAILABLE
    assert failure.error.retryable


def test_the_store_is_read_only_without_a_word(harness: ProviderHarness, store: StoreHandle) -> None:
    """Capabilities follow from what is implemented."""
    assert harness.capabilities(store) == "READ_ONLY"
    with harness.fails() as failure:
        harness.push(store, "new", {"k": b"v"}, secret_key="k")
    assert failure.code is StatusCode.UNIMPLEMENTED


def test_a_pin_has_the_digits_asked_for(harness: ProviderHarness) -> None:
    """Leading zeros included; every one is new."""
    generator = harness.add_generator("default", {"digits": 12})

    pins = {harness.generate(generator)[0]["pin"] for _ in range(20)}

    assert len(pins) == 20
    assert all(len(pin) == 12 and pin.isdigit() for pin in pins)


def test_a_bad_setting_is_refused_by_name(harness: ProviderHarness) -> None:
    """The model says what may be written; nobody wrote a check."""
    with harness.fails() as failure:
        harness.generate(harness.add_generator("default", {"digits": 2}))

    assert failure.code is StatusCode.INVALID_ARGUMENT
    assert "spec.digits" in failure.message


def test_the_manifests_fit_the_models() -> None:
    """What the README tells people to apply."""
    folder = Path(__file__).parent / "manifests"
    specs = {
        doc["kind"]: doc["spec"]
        for file in folder.glob("*.yaml")
        for doc in yaml.safe_load_all(file.read_text())
        if doc["apiVersion"].startswith("provider.")
    }

    assert set(specs) == {"Hello", "Pin"}
    for cls in (HelloStore, PinGenerator):
        cls.spec.parse(specs[cls.spec.kind], where="manifest")


def test_it_is_a_program() -> None:
    """`python hello.py crds` prints what to apply to a cluster."""
    done = subprocess.run(
        [sys.executable, Path(__file__).parent / "hello.py", "crds"],
        capture_output=True,
        check=True,
        timeout=60,
    )

    names = [doc["metadata"]["name"] for doc in yaml.safe_load_all(done.stdout)]
    assert names == [
        "hellos.provider.secretstore.external-secrets.io",
        "pins.provider.generator.external-secrets.io",
    ]


def test_it_is_complete_in_sixty_lines() -> None:
    """If the SDK makes a provider longer, the SDK is what has to change."""
    assert len((Path(__file__).parent / "hello.py").read_text().splitlines()) <= 60
