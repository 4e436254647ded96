"""The UUID generator."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping

import pytest
from provider_common import InvalidSpecError
from provider_common.testing import ProviderHarness
from provider_password import UUIDGenerator

Generate = Callable[..., Mapping[str, bytes]]


def test_it_is_a_random_uuid_in_lower_case(generate: Generate) -> None:
    """Version 4, whatever the documentation of the Go type says."""
    values = generate(UUIDGenerator, {})

    text = values["uuid"].decode()
    assert list(values) == ["uuid"]
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", text)
    assert uuid.UUID(text).version == 4


def test_every_call_makes_a_new_one(generate: Generate) -> None:
    """Nothing is remembered."""
    assert len({generate(UUIDGenerator, {})["uuid"] for _ in range(100)}) == 100


def test_it_has_no_settings() -> None:
    """A field that does nothing would be a lie."""
    with pytest.raises(InvalidSpecError, match=r"spec\.version: is not a field"):
        UUIDGenerator.spec.parse({"version": 1}, where="UUID a/b")


def test_it_works_where_its_object_does_not_exist(harness: ProviderHarness) -> None:
    """There is nothing to set, so nothing can be missing."""
    generator = harness.add_generator("team-a", {}, kind="UUID", name="gone")
    harness.kube.remove_object(generator.api_version, "UUID", "team-a", "gone")

    values, state = harness.generate(generator)

    assert uuid.UUID(values["uuid"].decode()).version == 4
    assert state == b""
