"""Every kind called as a core does: over mutual TLS, by either of its names."""

from __future__ import annotations

import base64
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from provider_common.catalog import Catalog
from provider_common.testing import ProviderHarness
from provider_password import KINDS

GROUPS = ("provider.generator.external-secrets.io/v2alpha1", "generators.external-secrets.io/v1alpha1")
CASES = [
    pytest.param("Password", {"secretKeys": ["a", "b"]}, {"a", "b"}, id="Password"),
    pytest.param("UUID", {}, {"uuid"}, id="UUID"),
    pytest.param("SSHKey", {"keyType": "ed25519"}, {"privateKey", "publicKey"}, id="SSHKey"),
    pytest.param("MFA", {"secret": {"name": "seed", "key": "value"}}, {"token", "timeLeft"}, id="MFA"),
]
SEED = base64.b32encode(b"12345678901234567890")


def add(harness: ProviderHarness, kind: str, spec: dict[str, Any], *, group: str = GROUPS[0]) -> Any:
    handle = harness.add_generator("team-a", spec, kind=kind)
    manifest = {
        "apiVersion": group,
        "kind": kind,
        "metadata": {"name": "main", "namespace": "team-a"},
        "spec": spec,
    }
    harness.kube.add_object(manifest)
    return type(handle)(group, kind, "main", "team-a", "team-a")


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize(("kind", "spec", "names"), CASES)
def test_every_kind_generates_under_both_of_its_names(
    harness: ProviderHarness, kind: str, spec: dict[str, Any], names: set[str], group: str
) -> None:
    """None of them keeps state, so the core has nothing to clean up."""
    harness.kube.add_secret("team-a", "seed", {"value": SEED})

    values, state = harness.generate(add(harness, kind, spec, group=group))

    assert set(values) == names
    assert all(values.values())
    assert state == b""


@pytest.mark.parametrize(("kind", "spec", "names"), CASES)
def test_clean_up_has_nothing_to_do_and_succeeds(
    harness: ProviderHarness, kind: str, spec: dict[str, Any], names: set[str]
) -> None:
    """A core that calls it anyway, with whatever state, is not to be stopped."""
    generator = add(harness, kind, spec)

    harness.cleanup(generator, b"")
    harness.cleanup(generator, b'{"anything": 1}')


@pytest.mark.parametrize("kind", ["Password", "SSHKey", "MFA"])
def test_a_missing_object_is_an_error_and_never_not_found(harness: ProviderHarness, kind: str) -> None:
    """NOT_FOUND would let a core delete the user's Secret."""
    generator = add(harness, kind, {"secret": {"name": "seed", "key": "value"}})
    harness.kube.remove_object(GROUPS[0], kind, "team-a", "main")

    with harness.fails() as failure:
        harness.generate(generator)

    assert failure.code is grpc.StatusCode.FAILED_PRECONDITION
    assert failure.error.code == "MISSING_REFERENCE"
    assert f"There is no {kind} 'main'" in failure.message


def test_settings_that_cannot_work_are_invalid_arguments(harness: ProviderHarness) -> None:
    """The user reads what to change; nothing is generated."""
    with harness.fails() as failure:
        harness.generate(add(harness, "Password", {"length": 44}))

    assert failure.code is grpc.StatusCode.INVALID_ARGUMENT
    assert failure.error.code == "INVALID_SPEC"
    assert not failure.error.retryable
    assert "Password team-a/main: spec: more than 10 digits" in failure.message


def test_a_corrected_spec_counts_at_once(harness: ProviderHarness) -> None:
    """Nothing of the old one is kept."""
    with harness.fails():
        harness.generate(add(harness, "Password", {"length": 44}))

    values, _ = harness.generate(add(harness, "Password", {"length": 44, "digits": 4, "symbols": 4}))

    assert len(values["password"]) == 44


def test_a_seed_in_another_namespace_is_refused_before_it_is_read(harness: ProviderHarness) -> None:
    """The Go generator reads in the caller's namespace whatever the selector says; here a foreign one is denied."""
    harness.kube.add_secret("team-b", "seed", {"value": SEED})
    harness.kube.secrets_read.clear()
    spec = {"secret": {"name": "seed", "key": "value", "namespace": "team-b"}}

    with harness.fails() as failure:
        harness.generate(add(harness, "MFA", spec))

    assert failure.code is grpc.StatusCode.PERMISSION_DENIED
    assert "'team-b'" in failure.message
    assert "'team-a'" in failure.message
    assert harness.kube.secrets_read == []


def test_a_bad_seed_is_a_credentials_error_without_the_seed(harness: ProviderHarness) -> None:
    """Not INTERNAL, and not a word of it."""
    harness.kube.add_secret("team-a", "seed", {"value": b"canary-018"})

    with harness.fails() as failure:
        harness.generate(add(harness, "MFA", {"secret": {"name": "seed", "key": "value"}}))

    assert failure.code is grpc.StatusCode.UNAUTHENTICATED
    assert "canary" not in failure.message
    assert b"canary" not in b"".join(
        v if isinstance(v, bytes) else v.encode() for v in failure.trailers.values()
    )


def test_a_key_that_takes_too_long_says_what_to_do(
    harness: ProviderHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller reads it in time, and not only that the time is over."""
    monkeypatch.setattr("provider_password.sshkey._SEARCH", "import time; time.sleep(600)")

    with harness.fails() as failure:
        harness.generate(add(harness, "SSHKey", {"keySize": 8192}), timeout=2)

    assert failure.code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert "ed25519" in failure.message


def test_calls_at_the_same_time_do_not_share_values(harness: ProviderHarness) -> None:
    """No coalescing of what has to be different."""
    generator = add(harness, "Password", {})

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: harness.generate(generator)[0]["password"], range(64)))

    assert len(set(made)) == 64


def test_what_is_served_is_what_the_entry_points_say() -> None:
    """The core finds a provider by them without importing it."""
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    entries = project["entry-points"]["external_secrets.kinds"]

    assert set(entries) == {kind.title for kind in Catalog(*KINDS)}
    assert set(entries.values()) == {project["scripts"]["provider-password"]}
