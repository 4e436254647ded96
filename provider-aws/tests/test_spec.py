"""Manifests that are accepted and refused, CRDs, and what the distribution says of itself."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from provider_aws import KINDS
from provider_aws.spec import AWSSecretManagerSpec, STSSessionTokenSpec
from provider_common import InvalidSpecError
from provider_common.crd import all_names, crds

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


def test_an_unknown_field_is_named() -> None:
    with pytest.raises(InvalidSpecError, match=r"spec\.regoin"):
        AWSSecretManagerSpec.parse({"region": "eu-central-1", "regoin": "x"}, where="x")


def test_a_session_token_can_not_be_had_with_a_service_account() -> None:
    """GetSessionToken is for users."""
    spec = {"region": "eu-central-1", "auth": {"jwt": {"serviceAccountRef": {"name": "a"}}}}
    with pytest.raises(InvalidSpecError, match="jwt"):
        STSSessionTokenSpec.parse(spec, where="x")


def test_the_caller_matters_only_where_tags_name_it() -> None:
    """And only where there is a role to tag."""
    role = "arn:aws:iam::123456789012:role/reader"

    def depends(**spec: Any) -> bool:
        return AWSSecretManagerSpec.parse({"region": "a", **spec}, where="x").tags_depend_on_caller

    assert not depends()
    assert not depends(role=role)
    assert not depends(sessionTagsPolicy="Simple")
    assert depends(role=role, sessionTagsPolicy="Simple")
    assert depends(role=role, sessionTagsPolicy="Custom")


def test_entry_points_name_every_kind_and_alias() -> None:
    """eso-core learns from them what is served, without importing the provider."""
    project = tomllib.loads((HERE.parent / "pyproject.toml").read_text())["project"]
    declared = project["entry-points"]["external_secrets.kinds"]

    assert set(declared) == {f"{version}/{kind}" for version, kind, _ in all_names(KINDS)}


def test_the_crds_carry_the_go_names_as_aliases() -> None:
    names = {manifest["metadata"]["name"] for manifest in crds(KINDS, aliases=True)}

    assert names == {
        "awssecretmanagers.provider.secretstore.external-secrets.io",
        "awsparameterstores.provider.secretstore.external-secrets.io",
        "secretsmanagers.provider.external-secrets.io",
        "parameterstores.provider.external-secrets.io",
        "ecrauthorizationtokens.provider.generator.external-secrets.io",
        "ecrauthorizationtokens.generators.external-secrets.io",
        "stssessiontokens.provider.generator.external-secrets.io",
        "stssessiontokens.generators.external-secrets.io",
    }


def test_botocore_is_not_loaded_before_a_store_is_opened() -> None:
    """It takes a while, and a provider has to serve soon after its start."""
    code = "import sys, provider_aws.__main__; print(*{m.split('.')[0] for m in sys.modules} & {'botocore', 'boto3'})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == ""
