"""CRDs from spec models, as a schema. `kube/test_crds_applied.py` asks a real API server what it makes of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

import pytest
import yaml
from provider_common.crd import crd, crds, crds_yaml
from provider_common.spec import Block, OneOf, Spec

from .crd_models import EverythingSpec, EverythingStore, NothingGenerator, NothingSpec, Token

JsonSchema = dict[str, Any]


def root(model: type[Spec] = EverythingSpec) -> JsonSchema:
    made = crd(model, role="store")["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    assert isinstance(made, dict)
    return made


def field(name: str) -> JsonSchema:
    found = root()["properties"]["spec"]["properties"][name]
    assert isinstance(found, dict)
    return found


def schemas(schema: JsonSchema) -> Iterator[JsonSchema]:
    yield schema
    parts = [*schema.get("properties", {}).values()]
    parts += [schema[word] for word in ("items", "additionalProperties") if word in schema]
    for part in parts:
        yield from schemas(part)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("region", {"type": "string", "minLength": 1, "description": "Where it is."}),
        ("size", {"type": "integer", "default": 6, "minimum": 5, "maximum": 64}),
        (
            "ratio",
            {
                "type": "number",
                "default": 0.5,
                "minimum": 0,
                "exclusiveMinimum": True,
                "maximum": 1,
                "exclusiveMaximum": True,
            },
        ),
        ("enabled", {"type": "boolean", "default": True}),
        ("level", {"type": "string", "enum": ["low", "high"], "default": "low"}),
        ("only", {"type": "string", "enum": ["this"]}),
        (
            "colour",
            {"type": "string", "enum": ["red", "blue"], "default": "red", "description": "Not a block."},
        ),
        ("names", {"type": "array", "items": {"type": "string"}}),
        ("unique", {"type": "array", "items": {"type": "string"}}),
        ("labels", {"type": "object", "additionalProperties": {"type": "string"}}),
        ("extra", {"type": "object", "x-kubernetes-preserve-unknown-fields": True}),
        ("anything", {"x-kubernetes-preserve-unknown-fields": True}),
        ("either", {"x-kubernetes-int-or-string": True, "default": 0}),
        ("since", {"type": "string", "format": "date-time"}),
    ],
)
def test_a_field_becomes_what_an_api_server_takes(name: str, expected: JsonSchema) -> None:
    """One type each, bounds as OpenAPI 3.0 writes them, defaults of scalars only, no null."""
    assert field(name) == expected


def test_no_word_of_the_schema_is_one_a_crd_does_not_know() -> None:
    """References, unions and `additionalProperties: false` are refused by the API server."""
    words = {word for schema in schemas(root()) for word in schema}

    assert words.isdisjoint({"$ref", "$defs", "anyOf", "allOf", "oneOf", "const", "title", "uniqueItems"})
    assert all(schema.get("additionalProperties") is not False for schema in schemas(root()))


def test_one_of_several_is_a_rule_with_a_message_that_names_them() -> None:
    """`kubectl apply` then says what to do; `in` is a word of CEL and has to be written otherwise."""
    assert field("auth")["x-kubernetes-validations"] == [
        {
            "rule": "(has(self.token) ? 1 : 0) + (has(self.__in__) ? 1 : 0) == 1",
            "message": "exactly one of token, in has to be given",
        }
    ]


def test_a_one_of_that_is_not_required_may_be_empty() -> None:
    """`required = False` gives the weaker rule."""

    class Optional(OneOf):
        required: ClassVar[bool] = False
        shared: ClassVar[frozenset[str]] = frozenset({"both"})
        a: Token | None = None
        b: Token | None = None
        both: str = ""

    class OptionalSpec(Spec):
        kind: ClassVar = "Optional"
        auth: Optional

    (rule,) = root(OptionalSpec)["properties"]["spec"]["properties"]["auth"]["x-kubernetes-validations"]

    assert rule == {
        "rule": "(has(self.a) ? 1 : 0) + (has(self.b) ? 1 : 0) <= 1",
        "message": "at most one of a, b has to be given",
    }


def test_a_rule_of_a_block_is_where_the_block_is() -> None:
    """`self` in a rule is the block."""
    rule = {"rule": "self.low <= self.high", "message": "low has to be at most high"}

    assert field("limits")["x-kubernetes-validations"] == [rule]
    assert field("several")["items"]["x-kubernetes-validations"] == [rule]


def test_lists_and_maps_of_blocks_with_rules_are_bounded() -> None:
    """The API server multiplies the cost of a rule, and refuses a CRD without a bound. A bound of the model stays."""
    assert (field("several")["maxItems"], field("few")["maxItems"]) == (100, 3)
    assert field("by_name".replace("_n", "N"))["maxProperties"] == 100
    assert "maxItems" not in field("names")


def test_the_keys_of_a_map_are_checked_by_rules() -> None:
    """OpenAPI has no word for them."""
    keyed = field("keyed")

    assert keyed["additionalProperties"] == {"type": "integer"}
    assert [rule["message"] for rule in keyed["x-kubernetes-validations"]] == [
        "every key has to match ^[-._a-zA-Z0-9]+$",
        "every key has to have 1 to 253 characters",
    ]


def test_descriptions_come_from_docstrings_and_fields() -> None:
    """A field's own text wins over that of the block it holds; line breaks of the source are none in the text."""
    assert root()["description"] == "Has a field of every sort that a CRD can hold."
    assert field("auth")["description"] == "How to log in.\n\nGive one."
    assert field("again")["description"] == "Another login."


def test_what_a_crd_is_besides_its_schema() -> None:
    """Names, scope, status, columns."""
    made = crd(EverythingSpec, role="generator")
    version = made["spec"]["versions"][0]

    assert made["metadata"] == {"name": "everythings.provider.generator.external-secrets.io"}
    assert made["spec"]["scope"] == "Namespaced"
    assert made["spec"]["names"] == {
        "categories": ["external-secrets"],
        "kind": "Everything",
        "listKind": "EverythingList",
        "plural": "everythings",
        "singular": "everything",
    }
    assert (version["name"], version["served"], version["storage"]) == ("v2alpha1", True, True)
    assert version["subresources"] == {"status": {}}
    assert set(root()["properties"]["status"]["properties"]) == {"conditions", "observedGeneration"}
    assert version["additionalPrinterColumns"] == [
        {"name": "Region", "type": "string", "jsonPath": ".spec.region"},
        {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    ]


@pytest.mark.parametrize(
    ("number", "name"), [(0, "everies.old.example.com"), (1, "alls.old.example.com")], ids=["plural", "given"]
)
def test_an_alias_is_the_same_spec_under_another_name(number: int, name: str) -> None:
    """One provider serves both."""
    made = crd(EverythingSpec, role="store", alias=EverythingSpec.aliases[number])

    assert made["metadata"]["name"] == name
    assert made["spec"]["versions"][0]["name"] == "v1"
    assert (
        made["spec"]["versions"][0]["schema"]
        == crd(EverythingSpec, role="store")["spec"]["versions"][0]["schema"]
    )


def test_spec_is_required_only_where_it_has_to_say_something() -> None:
    """A generator whose fields all have defaults may be written without one."""
    assert root()["required"] == ["spec"]
    assert "required" not in root(NothingSpec)


def test_the_role_decides_the_group() -> None:
    """Stores and generators have groups of their own; aliases are added only when asked for."""
    kinds = (NothingGenerator, EverythingStore)

    assert [made["metadata"]["name"] for made in crds(kinds)] == [
        "everythings.provider.secretstore.external-secrets.io",
        "policies.provider.generator.external-secrets.io",
    ]
    assert len(crds(kinds, aliases=True)) == 4


def test_the_yaml_is_the_same_whatever_the_order_and_says_the_same() -> None:
    """CRDs are committed in charts: a change must mean a change."""
    text = crds_yaml(EverythingStore, NothingGenerator, aliases=True)

    assert text == crds_yaml(NothingGenerator, EverythingStore, aliases=True)
    assert list(yaml.safe_load_all(text)) == crds((EverythingStore, NothingGenerator), aliases=True)
    assert "&id" not in text


class Tree(Block):
    children: tuple[Tree, ...] = ()


class One(Block):
    a: str


class Two(Block):
    b: str


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (Tree, r"Bad: spec\.field\.children\[\] can't be part of a CRD: Tree holds itself"),
        (
            One | Two,
            r"Bad: spec\.field can't be part of a CRD: it may be one of several types: make it a OneOf",
        ),
        (tuple[str, int], r"Bad: spec\.field can't be part of a CRD: its schema uses prefixItems"),
        (Literal["a", 1], r"Bad: spec\.field can't be part of a CRD: its values are of several types"),
    ],
    ids=["recursive", "union", "tuple", "mixed-enum"],
)
def test_what_a_crd_cannot_express_is_an_error_for_the_author(annotation: Any, text: str) -> None:
    """Left out in silence, the API server would store what the provider then refuses."""
    Bad = type(  # noqa: N806
        "Bad", (Spec,), {"__annotations__": {"field": annotation}, "kind": "Bad", "__module__": __name__}
    )

    with pytest.raises(TypeError, match=text):
        crd(Bad, role="store")
