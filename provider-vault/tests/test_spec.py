"""Manifests that are accepted and refused, CRDs, and what the distribution says of itself."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from provider_common import InvalidSpecError
from provider_common.crd import all_names, crds
from provider_vault import KINDS
from provider_vault.spec import VaultDynamicSecretSpec, VaultServer, VaultSpec

HERE = Path(__file__).parent
EXAMPLES = yaml.safe_load((HERE / "crd_examples.yaml").read_text())
SPECS = {kind.spec.kind: kind.spec for kind in KINDS}


def name(example: dict[str, Any]) -> str:
    return f"{example['kind']} {example['spec']}"


@pytest.mark.parametrize("example", EXAMPLES["good"], ids=name)
def test_a_good_manifest_is_accepted(example: dict[str, Any]) -> None:
    """The provider takes what the API server stores."""
    parsed = SPECS[example["kind"]].parse(example["spec"], where="x")
    assert parsed.model_dump(by_alias=True, exclude_unset=True, mode="json") == example["spec"]


@pytest.mark.parametrize("example", EXAMPLES["bad"], ids=name)
def test_a_bad_manifest_is_refused_with_the_same_words(example: dict[str, Any]) -> None:
    with pytest.raises(InvalidSpecError) as caught:
        SPECS[example["kind"]].parse(example["spec"], where="x")
    assert example["message"] in caught.value.message


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"headers": {"X-Vault-Namespace": "a"}}, "use namespace"),
        ({"headers": {"x-vault-token": "t"}}, "use namespace, auth"),
        ({"headers": {"a b": "x"}}, "no HTTP header"),
        ({"headers": {"a": "x\r\nb: c"}}, "no HTTP header"),
        ({"server": "https://v.example/?x=1"}, "spec.server"),
        ({"server": "https://user:password@v.example"}, "spec.server"),
        ({"server": "https:///v1"}, "spec.server"),
        ({"path": "secret/../sys"}, "spec.path"),
        ({"auth": {"kubernetes": {"role": "r", "mountPath": "../sys"}}}, "spec.auth.kubernetes.mountPath"),
        ({"auth": {"userPass": {"username": "a/../b", "secretRef": {"name": "s", "key": "k"}}}}, "username"),
        ({"sever": "x"}, "spec.sever"),
        ({"version": "2"}, "spec.version"),
        ({"readYourWrites": "yes"}, "spec.readYourWrites"),
    ],
)
def test_what_could_only_go_wrong_later_is_refused(spec: dict[str, Any], message: str) -> None:
    """A header that has a field of its own would get round that field's checks."""
    with pytest.raises(InvalidSpecError, match=message):
        VaultSpec.parse({"server": "https://v.example", **spec}, where="x")


@pytest.mark.parametrize("interval", ["5", "often", "-5s"])
def test_a_retry_interval_is_a_duration(interval: str) -> None:
    spec = {
        "provider": {"server": "https://v.example"},
        "path": "a",
        "retrySettings": {"retryInterval": interval},
    }
    with pytest.raises(InvalidSpecError, match="retry"):
        VaultDynamicSecretSpec.parse(spec, where="x")


def test_defaults_are_those_of_the_in_tree_store() -> None:
    auth = {"kubernetes": {"role": "r"}}
    spec = VaultSpec.parse({"server": "https://v.example", "auth": auth}, where="x")
    assert (spec.version, spec.path, spec.namespace, spec.read_your_writes) == ("v2", None, None, False)
    assert spec.auth is not None
    assert spec.auth.kubernetes is not None
    assert spec.auth.kubernetes.mount_path == "kubernetes"


def test_the_generator_asks_for_get_and_data_unless_told_otherwise() -> None:
    spec = VaultDynamicSecretSpec.parse({"provider": {"server": "https://v.example"}, "path": "a"}, where="x")
    assert (spec.method, spec.result_type, spec.allow_empty_response, spec.revoke_on_cleanup) == (
        "GET",
        "Data",
        False,
        False,
    )


def test_the_generator_takes_the_same_server_block_as_the_store() -> None:
    assert issubclass(VaultSpec, VaultServer)
    assert VaultDynamicSecretSpec.model_fields["provider"].annotation is VaultServer


def test_entry_points_name_every_kind_and_alias() -> None:
    """eso-core learns from them what is served, without importing the provider."""
    project = tomllib.loads((HERE.parent / "pyproject.toml").read_text())["project"]
    declared = project["entry-points"]["external_secrets.kinds"]
    assert set(declared) == {f"{version}/{kind}" for version, kind, _ in all_names(KINDS)}


def test_the_crds_can_be_made() -> None:
    names = {manifest["metadata"]["name"] for manifest in crds(KINDS, aliases=True)}
    assert names == {
        "vaults.provider.secretstore.external-secrets.io",
        "vaultdynamicsecrets.provider.generator.external-secrets.io",
        "vaultdynamicsecrets.generators.external-secrets.io",
    }


def test_clouds_libraries_are_not_loaded_with_the_provider() -> None:
    """They are heavy, and only the logins by IAM and by a Google key need them."""
    code = "import sys, provider_vault.__main__; print(*{m.split('.')[0] for m in sys.modules} & {'botocore', 'boto3'})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
