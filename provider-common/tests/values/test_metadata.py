"""Push metadata: strict about everything but the case of field names, and silent about what fields say."""

from __future__ import annotations

import enum
import json
from typing import Any

import pytest
from provider_common.errors import InvalidSpecError
from provider_common.values import METADATA_API_VERSION, METADATA_KIND, parse_push_metadata
from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic.alias_generators import to_camel


class Tier(enum.Enum):
    STANDARD = "Standard"
    ADVANCED = "Advanced"


class Strict(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", populate_by_name=False)


class Policy(Strict):
    block_public: bool = True
    note: str | None = None


class Spec(Strict):
    kms_key_id: str = Field("alias/default", alias="kmsKeyID")
    tier: Tier = Tier.STANDARD
    policy: Policy | None = None
    policies: list[Policy] = []
    named: dict[str, Policy] = {}
    tags: dict[str, str] = {}
    count: int = 0

    @field_validator("count")
    @classmethod
    def _small(cls, count: int) -> int:
        if count > 9:
            raise ValueError("must be below ten")
        return count


def metadata(spec: object = None, **top: object) -> bytes:
    whole: dict[str, Any] = {"apiVersion": METADATA_API_VERSION, "kind": METADATA_KIND, "spec": spec, **top}
    return json.dumps({name: value for name, value in whole.items() if value is not None}).encode()


@pytest.mark.parametrize("raw", [b"", b"  \n", b"null", metadata(), metadata({})], ids=repr)
def test_absent_metadata_means_the_defaults(raw: bytes) -> None:
    """Metadata is optional at every level."""
    assert parse_push_metadata(raw, Spec) == Spec()


@pytest.mark.parametrize("name", ["kmsKeyID", "kmsKeyId", "KMSKEYID", "kmskeyid"])
def test_field_names_match_in_any_case(name: str) -> None:
    """Manifests written for the Go core rely on it."""
    assert parse_push_metadata(metadata({name: "k"}), Spec).kms_key_id == "k"


def test_nested_fields_match_in_any_case_and_the_users_own_keys_stay() -> None:
    """Fields are ours, keys of a map are the user's."""
    parsed = parse_push_metadata(
        metadata(
            {
                "Policy": {"BLOCKPUBLIC": False},
                "policies": [{"Note": "n"}],
                "named": {"Mine": {"NOTE": "m"}},
                "tags": {"Team": "A", "team": "b"},
                "tier": "Advanced",
            },
            KIND=None,
        ),
        Spec,
    )

    assert parsed.policy == Policy(blockPublic=False)
    assert parsed.policies == [Policy(note="n")]
    assert parsed.named == {"Mine": Policy(note="m")}
    assert parsed.tags == {"Team": "A", "team": "b"}
    assert parsed.tier is Tier.ADVANCED


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (metadata(kind="s3cret"), r"metadata\.kind must be 'PushSecretMetadata'"),
        (metadata(apiVersion="s3cret"), r"metadata\.apiVersion must be"),
        (b'{"kind":"PushSecretMetadata"}', r"metadata\.apiVersion must be"),
        (b'{"spec":{}}', r"metadata\.apiVersion must be"),
        (metadata(extra="s3cret"), r"metadata\.extra is not a known field; known are apiVersion, kind, spec"),
        (metadata({"extra": "s3cret"}), r"metadata\.spec\.extra is not a known field"),
        (metadata({"policy": {"extra": "s3cret"}}), r"metadata\.spec\.policy\.extra is not a known field"),
        (metadata({"policies": [{}, {"extra": "s3cret"}]}), r"metadata\.spec\.policies\[1\]\.extra"),
        (metadata({"named": {"x": {"extra": "s3cret"}}}), r"metadata\.spec\.named\.x\.extra"),
        (metadata({"kmsKeyID": "a", "kmskeyid": "s3cret"}), r"kmsKeyID is given twice"),
        (metadata({"kmsKeyID": 5}), r"metadata\.spec\.kmsKeyID: .*string"),
        (metadata({"count": "7"}), r"metadata\.spec\.count: .*integer"),
        (metadata({"count": 77}), r"metadata\.spec\.count: .*below ten"),
        (metadata({"tier": "s3cret"}), r"metadata\.spec\.tier: .*'Standard' or 'Advanced'"),
        (metadata({"policy": "s3cret"}), r"metadata\.spec\.policy must be an object"),
        (metadata("s3cret"), r"metadata\.spec must be an object"),
        (b'["s3cret"]', r"metadata must be an object"),
        (b"kind: s3cret", r"metadata is not valid JSON"),
        (metadata({"count": 5})[:-1], r"metadata is not valid JSON"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_mistake_is_named_by_its_field_and_its_value_is_not_repeated(raw: bytes, says: str) -> None:
    """Metadata may hold what is not for logs; the path to the field is enough to find the mistake."""
    with pytest.raises(InvalidSpecError, match=says) as caught:
        parse_push_metadata(raw, Spec)

    assert "s3cret" not in caught.value.message
    assert caught.value.__cause__ is None


def test_a_required_field_is_asked_for_even_without_metadata() -> None:
    """No metadata is not a way around what a provider needs."""

    class Needs(Strict):
        kms_key_id: str

    with pytest.raises(InvalidSpecError, match=r"metadata\.spec\.kmsKeyId is required"):
        parse_push_metadata(b"", Needs)
