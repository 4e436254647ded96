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
from provider_gcp import KINDS
from provider_gcp.spec import GCPSecretManagerSpec

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


def test_defaults_are_those_of_the_in_tree_store() -> None:
    spec = GCPSecretManagerSpec.parse({}, where="x")
    assert (spec.project_id, spec.location, spec.secret_version_selection_policy) == (
        None,
        None,
        "LatestOrFail",
    )


def test_an_unknown_field_is_an_error_that_names_it() -> None:
    with pytest.raises(InvalidSpecError, match=r"spec\.projectId"):
        GCPSecretManagerSpec.parse({"projectId": "acme"}, where="x")


def test_entry_points_name_every_kind_and_alias() -> None:
    """eso-core learns from them what is served, without importing the provider."""
    project = tomllib.loads((HERE.parent / "pyproject.toml").read_text())["project"]
    declared = project["entry-points"]["external_secrets.kinds"]
    assert set(declared) == {f"{version}/{kind}" for version, kind, _ in all_names(KINDS)}


def test_the_crds_can_be_made() -> None:
    names = {manifest["metadata"]["name"] for manifest in crds(KINDS, aliases=True)}
    assert names == {
        "gcpsecretmanagers.provider.secretstore.external-secrets.io",
        "secretmanagers.provider.external-secrets.io",
        "gcraccesstokens.provider.generator.external-secrets.io",
        "gcraccesstokens.generators.external-secrets.io",
    }


def test_googles_libraries_are_not_loaded_with_the_provider() -> None:
    """They take most of a second, and a server that is asked nothing does not need them."""
    code = (
        "import sys, provider_gcp.__main__;"
        "print(*[m for m in sys.modules if m.startswith(('google.cloud', 'google.auth', 'google.api_core'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
