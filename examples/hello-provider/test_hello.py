"""What hello.py promises: over real gRPC with mutual TLS, against a real HTTP service."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import provider_conformance.cli
import pytest
import yaml
from backend import Service
from grpc import StatusCode
from hello import HelloStore, PinGenerator
from provider_common.testing import ProviderHarness, StoreHandle

HERE = Path(__file__).parent


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


def test_what_the_service_refuses_is_not_asked_again(harness: ProviderHarness, store: StoreHandle) -> None:
    """Only a service that is down or busy may answer differently in a while; a URL that is too long stays too long."""
    with harness.fails() as failure:
        harness.get_secret(store, "k" * 100_000)

    assert failure.code is StatusCode.FAILED_PRECONDITION
    assert not failure.error.retryable


def test_a_bad_setting_is_refused_by_name(harness: ProviderHarness) -> None:
    """The model says what may be written; nobody wrote a check."""
    with harness.fails() as failure:
        harness.generate(harness.add_generator("default", {"digits": 2}))

    assert failure.code is StatusCode.INVALID_ARGUMENT
    assert "spec.digits" in failure.message


def test_the_manifests_fit_the_models() -> None:
    """What the README tells people to apply."""
    folder = HERE / "manifests"
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
        [sys.executable, HERE / "hello.py", "crds"],
        capture_output=True,
        check=True,
        timeout=60,
    )

    names = [doc["metadata"]["name"] for doc in yaml.safe_load_all(done.stdout)]
    assert names == [
        "hellos.provider.secretstore.external-secrets.io",
        "pins.provider.generator.external-secrets.io",
    ]


def test_the_suite_finds_nothing_wrong(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """What the README tells people to run, on free ports, and without the checks of the other profile and those that wait."""
    manifests, ready = tmp_path / "manifests", tmp_path / "ready.json"
    manifests.mkdir()
    shown = (HERE / "manifests/hello.yaml").read_text()
    (manifests / "hello.yaml").write_text(shown.replace("http://127.0.0.1:8200", service.url))
    provider = [sys.executable, str(HERE / "hello.py")]
    subprocess.run([*provider, "certs", "--out", str(tmp_path / "certs")], check=True, timeout=60)
    serve = [
        *("serve", "--tls-dir", str(tmp_path / "certs"), "--manifests", str(manifests)),
        *("--ready-file", str(ready), "--port=0", "--http-port=0"),
    ]
    with subprocess.Popen([*provider, *serve]) as process:
        try:
            ports = wait_for_ports(ready)
            told = (HERE / "target.yaml").read_text().replace(":8081/", f":{ports['http_port']}/")
            target = tmp_path / "target.yaml"
            target.write_text(told.replace("[python, backend.py", f"[{sys.executable}, {HERE}/backend.py"))
            monkeypatch.setenv("HELLO_URL", service.url)
            where = ["--target", str(target), "--endpoint", f"localhost:{ports['port']}"]
            status = provider_conformance.cli.main(["run", *where, "--profile=core", "--no-slow"])
        finally:
            process.terminate()

    assert (status, process.returncode) == (0, 0), capfd.readouterr().out


def wait_for_ports(ready: Path) -> dict[str, int]:
    deadline = time.monotonic() + 60
    while not ready.exists():
        assert time.monotonic() < deadline, "the provider did not become ready"
        time.sleep(0.02)
    ports: dict[str, int] = json.loads(ready.read_text())
    return ports


def test_it_is_complete_in_sixty_lines() -> None:
    """If the SDK makes a provider longer, the SDK is what has to change."""
    assert len((HERE / "hello.py").read_text().splitlines()) <= 60
