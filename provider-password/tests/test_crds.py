"""Manifests that have to be accepted and refused; the list is shared with the test against a real API server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from provider_common import InvalidSpecError
from provider_common.crd import crds
from provider_password import KINDS

EXAMPLES = yaml.safe_load((Path(__file__).parent / "crd_examples.yaml").read_text())
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
    """Whoever sees the message first, the API server or the provider, reads the same."""
    with pytest.raises(InvalidSpecError) as caught:
        SPECS[example["kind"]].parse(example["spec"], where="x")

    assert example["message"] in caught.value.message


def test_every_kind_has_a_good_and_a_bad_example_where_it_has_settings() -> None:
    """UUID has nothing that could be wrong."""
    assert {example["kind"] for example in EXAMPLES["good"]} == set(SPECS)
    assert {example["kind"] for example in EXAMPLES["bad"]} == set(SPECS) - {"UUID"}


def test_the_crds_carry_the_go_names_as_aliases() -> None:
    """Manifests written for the Go generators name this group and these kinds."""
    names = {manifest["metadata"]["name"] for manifest in crds(KINDS, aliases=True)}

    assert names == {
        f"{plural}.{group}"
        for plural in ("passwords", "uuids", "sshkeys", "mfas")
        for group in ("provider.generator.external-secrets.io", "generators.external-secrets.io")
    }
