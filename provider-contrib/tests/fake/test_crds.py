"""Manifests that have to be accepted and refused; the list is shared with the test against a real API server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from provider_common import InvalidSpecError
from provider_common.catalog import Catalog
from provider_common.crd import crds
from provider_contrib import KINDS

EXAMPLES = yaml.safe_load((Path(__file__).parents[1] / "crd_examples.yaml").read_text())
SPECS = {(kind.api_version, kind.kind): kind.spec for kind in Catalog(*KINDS)}


def name(example: dict[str, Any]) -> str:
    return f"{example['apiVersion'].split('.')[1]} {example['spec']}"[:100]


@pytest.mark.parametrize("example", EXAMPLES["good"], ids=name)
def test_a_good_manifest_is_accepted(example: dict[str, Any]) -> None:
    """The provider takes what the API server stores."""
    parsed = SPECS[example["apiVersion"], example["kind"]].parse(example["spec"], where="x")

    assert parsed.model_dump(by_alias=True, exclude_unset=True, mode="json") == example["spec"]


@pytest.mark.parametrize("example", EXAMPLES["bad"], ids=name)
def test_a_bad_manifest_is_refused_with_the_same_words(example: dict[str, Any]) -> None:
    """Whoever sees the message first, the API server or the provider, reads the same."""
    with pytest.raises(InvalidSpecError) as caught:
        SPECS[example["apiVersion"], example["kind"]].parse(example["spec"], where="x")

    assert example["message"] in caught.value.message


def test_the_crds_carry_the_go_names_as_aliases() -> None:
    """Manifests written for the Go fake name these groups."""
    names = {manifest["metadata"]["name"] for manifest in crds(KINDS, aliases=True)}

    assert names == {
        f"fakes.{group}"
        for group in (
            "provider.secretstore.external-secrets.io",
            "provider.external-secrets.io",
            "provider.generator.external-secrets.io",
            "generators.external-secrets.io",
        )
    }
