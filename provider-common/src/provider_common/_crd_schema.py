"""From a spec model to a structural OpenAPI v3 schema as an API server takes it.

pydantic writes JSON Schema of 2020 with references and nulls; a CustomResourceDefinition wants every part in its place, one
type each, patterns in RE2. What can't be expressed is an error for the provider's author, never left out in silence.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import re2
from pydantic.json_schema import GenerateJsonSchema

from provider_common.spec import Block, OneOf, Spec

JsonSchema = dict[str, Any]

MOST_ITEMS = 100
"""Bound of a list or map that holds blocks with rules, where the model sets none: the API server multiplies the cost of a
rule by the number of times it may be asked, and refuses a CRD that could cost too much."""

_RULES = "x-kubernetes-validations"
_FREE = "x-kubernetes-preserve-unknown-fields"
_EITHER = "x-kubernetes-int-or-string"
_KEPT = (
    "type", "enum", "default", "pattern", "minLength", "maxLength", "minimum", "maximum", "multipleOf",
    "minItems", "maxItems", "minProperties", "maxProperties", _RULES, _FREE, _EITHER,
)  # fmt: skip
_KNOWN = {
    *_KEPT, "$ref", "$defs", "anyOf", "allOf", "const", "title", "description", "properties", "required", "items",
    "additionalProperties", "propertyNames", "patternProperties", "uniqueItems", "exclusiveMinimum", "exclusiveMaximum",
    "format", "examples", "writeOnly", "deprecated",
}  # fmt: skip
# Words that CEL reserves: a field of such a name is written with underscores around it.
_CEL_WORDS = frozenset(
    [
        "as",
        "break",
        "const",
        "continue",
        "else",
        "false",
        "for",
        "function",
        "if",
        "import",
        "in",
        "let",
        "loop",
        "namespace",
        "null",
        "package",
        "return",
        "true",
        "var",
        "void",
        "while",
    ]
)


class _WithRules(GenerateJsonSchema):
    """Adds the CEL rules of every block to its schema."""

    def model_schema(self, schema: Any) -> JsonSchema:
        made = super().model_schema(schema)
        cls = schema["cls"]
        if issubclass(cls, Block) and (rules := rules_of(cls)):
            made[_RULES] = rules
        return made


def spec_schema(model: type[Spec]) -> JsonSchema:
    """The schema of `spec`. Raises TypeError naming the field that a CRD can't express."""
    made = model.model_json_schema(by_alias=True, schema_generator=_WithRules, mode="validation")
    definitions = made.pop("$defs", {})
    return _Translation(model.__name__, definitions).block(made, "spec", ())


def rules_of(cls: type[Block]) -> list[dict[str, str]]:
    """The CEL rules of a block: its own, and the one that every OneOf has."""
    rules = [{"rule": rule.rule, "message": rule.message} for rule in cls.rules]
    if issubclass(cls, OneOf) and (names := cls.alternatives()):
        fields = [cls.model_fields[name].alias or name for name in names]
        count = " + ".join(f"(has(self.{cel_name(field)}) ? 1 : 0)" for field in fields)
        number, test = ("exactly one", "== 1") if cls.required else ("at most one", "<= 1")
        rules.insert(
            0, {"rule": f"{count} {test}", "message": f"{number} of {', '.join(fields)} has to be given"}
        )
    return rules


def cel_name(field: str) -> str:
    """`field` as CEL rules have to write it."""
    if field in _CEL_WORDS:
        return f"__{field}__"
    escaped = field.replace("__", "__underscores__")
    for sign, word in ((".", "__dot__"), ("-", "__dash__"), ("/", "__slash__")):
        escaped = escaped.replace(sign, word)
    return escaped


class _Translation:
    """One model's schema on its way to a structural one."""

    def __init__(self, model: str, definitions: Mapping[str, JsonSchema]) -> None:
        self._model = model
        self._definitions = definitions

    def block(self, schema: JsonSchema, where: str, inside: tuple[str, ...]) -> JsonSchema:
        """`schema` without references, unions and words a CRD does not know. `inside` names the definitions around it."""
        while "$ref" in schema or "anyOf" in schema or "allOf" in schema:
            schema, inside = self._resolved(schema, where, inside)
        if unknown := schema.keys() - _KNOWN:
            raise self._cant(where, f"its schema uses {', '.join(sorted(unknown))}")
        made: JsonSchema = {}
        if text := schema.get("description"):
            made["description"] = "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))
        made.update((word, schema[word]) for word in _KEPT if word in schema)
        self._scalar(schema, made, where)
        if "properties" in schema:
            made["properties"] = {
                name: self.block(part, f"{where}.{name}", inside)
                for name, part in schema["properties"].items()
            }
            if schema.get("required"):
                made["required"] = sorted(schema["required"])
        if "items" in schema:
            made["items"] = self.block(schema["items"], f"{where}[]", inside)
            _bound(made, made["items"], "maxItems")
        if made.get("type") == "object" and "properties" not in schema:
            self._map(schema, made, where, inside)
        if "type" not in made and _EITHER not in made:
            if "enum" in made:
                raise self._cant(where, "its values are of several types")
            made[_FREE] = True
        return made

    def _resolved(
        self, schema: JsonSchema, where: str, inside: tuple[str, ...]
    ) -> tuple[JsonSchema, tuple[str, ...]]:
        """`schema` with its reference followed, or its union taken apart, once."""
        rest = {word: value for word, value in schema.items() if word not in {"$ref", "anyOf", "allOf"}}
        if reference := schema.get("$ref"):
            name = reference.rpartition("/")[2]
            if name in inside:
                raise self._cant(where, f"{name} holds itself")
            return {**self._definitions[name], **rest}, (*inside, name)
        parts = schema.get("allOf") or [part for part in schema["anyOf"] if part.get("type") != "null"]
        if len(parts) == 1:
            return {**parts[0], **rest}, inside
        if {part.get("type") for part in parts} == {"integer", "string"} and len(parts) == 2:
            return {_EITHER: True, **rest}, inside
        raise self._cant(where, "it may be one of several types: make it a OneOf")

    def _scalar(self, schema: JsonSchema, made: JsonSchema, where: str) -> None:
        if "const" in schema:
            made["enum"] = [schema["const"]]
        if schema.get("format") == "date-time":
            made["format"] = "date-time"
        for bound, exclusive, step in (
            ("minimum", "exclusiveMinimum", 1),
            ("maximum", "exclusiveMaximum", -1),
        ):
            if exclusive in schema and made.get("type") == "integer":
                made[bound] = (math.floor if step > 0 else math.ceil)(schema[exclusive]) + step
            elif exclusive in schema:
                made[bound], made[exclusive] = schema[exclusive], True
        if isinstance(made.get("default"), dict | list) or made.get("default", 0) is None:
            del made["default"]
        if "pattern" in made:
            self._check_pattern(made["pattern"], where)

    def _map(self, schema: JsonSchema, made: JsonSchema, where: str, inside: tuple[str, ...]) -> None:
        values, keys = schema.get("additionalProperties"), schema.get("propertyNames", {})
        if by_pattern := schema.get("patternProperties"):
            ((pattern, values),) = by_pattern.items()
            keys = {**keys, "pattern": pattern}
        if values is None or values is True or values == {}:
            made[_FREE] = True
        elif values is not False:
            made["additionalProperties"] = self.block(values, f"{where}.*", inside)
            _bound(made, made["additionalProperties"], "maxProperties")
        if rules := self._key_rules(keys, where):
            made.setdefault("maxProperties", MOST_ITEMS)
            made[_RULES] = [*made.get(_RULES, ()), *rules]

    def _key_rules(self, keys: JsonSchema, where: str) -> list[dict[str, str]]:
        rules = []
        if pattern := keys.get("pattern"):
            self._check_pattern(pattern, where)
            quoted = pattern.replace("\\", "\\\\").replace("'", "\\'")
            rules.append(
                {
                    "rule": f"self.all(key, key.matches('{quoted}'))",
                    "message": f"every key has to match {pattern}",
                }
            )
        least, most = keys.get("minLength", 0), keys.get("maxLength")
        if least or most is not None:
            test = f"size(key) >= {least}" + (f" && size(key) <= {most}" if most is not None else "")
            words = f"{least} to {most}" if most is not None else f"at least {least}"
            rules.append(
                {"rule": f"self.all(key, {test})", "message": f"every key has to have {words} characters"}
            )
        return rules

    def _check_pattern(self, pattern: str, where: str) -> None:
        try:
            re2.compile(pattern)  # type: ignore[no-untyped-call]
        except re2.error:
            raise self._cant(where, f"its pattern {pattern} is not RE2 syntax") from None

    def _cant(self, where: str, reason: str) -> TypeError:
        return TypeError(f"{self._model}: {where} can't be part of a CRD: {reason}")


def _bound(made: JsonSchema, part: JsonSchema, word: str) -> None:
    """Where rules are asked once per part, the number of parts has a bound."""
    if _has_rules(part):
        made.setdefault(word, MOST_ITEMS)


def _has_rules(schema: JsonSchema) -> bool:
    parts = [*schema.get("properties", {}).values()]
    parts += [
        schema[word] for word in ("items", "additionalProperties") if isinstance(schema.get(word), dict)
    ]
    return _RULES in schema or any(_has_rules(part) for part in parts)
