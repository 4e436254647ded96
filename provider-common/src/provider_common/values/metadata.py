"""The `metadata` of a PushSecret entry: a small manifest inside the manifest, read strictly.

Field names match in any case, as they do in Go; nothing else is forgiven, and no message repeats what a field says.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

import pydantic

from provider_common.errors import InvalidSpecError, PermanentError
from provider_common.values.decode import decode_json
from provider_common.values.encode import Json, go_json

__all__ = ["METADATA_API_VERSION", "METADATA_KIND", "parse_push_metadata"]

METADATA_API_VERSION = "kubernetes.external-secrets.io/v1alpha1"
METADATA_KIND = "PushSecretMetadata"

Model = TypeVar("Model", bound=pydantic.BaseModel)


def parse_push_metadata(raw: bytes, model: type[Model]) -> Model:
    """The `spec` of push metadata as a `model`; the model's defaults when there is no metadata, or no spec in it.

    `raw` is JSON. Raises InvalidSpecError, which names the field and never its value, for a wrong or missing
    apiVersion or kind, a field that does not exist, one that is given in two spellings, and whatever the model refuses.
    """
    if not raw.strip() or raw.strip() == b"null":
        return _validate(model, {})
    try:
        decoded = decode_json(raw, what="metadata")
    except PermanentError as error:
        raise InvalidSpecError(f"PushSecret {error.message}") from None
    top = _fold(decoded, {"apiVersion": None, "kind": None, "spec": None}, "metadata")
    for field, expected in (("apiVersion", METADATA_API_VERSION), ("kind", METADATA_KIND)):
        if top.get(field) != expected:
            raise InvalidSpecError(f"PushSecret metadata.{field} must be {expected!r}")
    spec = top.get("spec")
    if spec is None:
        return _validate(model, {})
    return _validate(model, _fold_model(spec, model, "metadata.spec"))


def _validate(model: type[Model], spec: dict[str, Json]) -> Model:
    try:
        # From JSON: there strict mode still takes a list for a tuple and a string for an enum.
        return model.model_validate_json(go_json(spec, escape_html=False), strict=True)
    except pydantic.ValidationError as error:
        problems = [_problem(problem) for problem in error.errors(include_url=False, include_input=False)]
        raise InvalidSpecError("PushSecret " + "; ".join(problems)) from None


def _problem(problem: Mapping[str, Any]) -> str:
    where = ".".join(["metadata.spec", *map(str, problem["loc"])])
    if problem["type"] == "missing":
        return f"{where} is required"
    if problem["type"] == "extra_forbidden":
        return f"{where} is not a known field"
    if problem["type"] in _ECHOING:
        return f"{where} is not one of the known variants"
    return f"{where}: {problem['msg']}"


_ECHOING = {"union_tag_invalid"}
"""The only built-in message that repeats its input."""


def _fold(value: Json, fields: Mapping[str, object], where: str) -> dict[str, Json]:
    """The members of `value` under the spelling that `fields` uses."""
    if not isinstance(value, dict):
        raise InvalidSpecError(f"PushSecret {where} must be an object")
    spellings = {field.lower(): field for field in fields}
    folded: dict[str, Json] = {}
    for name, member in value.items():
        field = name if name in fields else spellings.get(name.lower())
        if field is None:
            raise InvalidSpecError(
                f"PushSecret {where}.{name} is not a known field; known are {', '.join(fields)}"
            )
        if field in folded:
            raise InvalidSpecError(f"PushSecret {where}.{field} is given twice, in two spellings")
        folded[field] = member
    return folded


def _fold_model(value: Json, model: type[pydantic.BaseModel], where: str) -> dict[str, Json]:
    annotations = {
        field.validation_alias or field.alias or name: field for name, field in model.model_fields.items()
    }
    fields = {str(alias): field.annotation for alias, field in annotations.items()}
    return {
        name: _fold_annotated(member, fields[name], f"{where}.{name}")
        for name, member in _fold(value, fields, where).items()
    }


def _fold_annotated(value: Json, annotation: object, where: str) -> Json:
    """Fold what stands under one annotation; models are found inside Optional, list and dict."""
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        return None if value is None else _fold_model(value, annotation, where)
    inside = get_args(annotation)
    origin = get_origin(annotation)
    if origin in {Union, UnionType}:
        models = [option for option in inside if option is not type(None)]
        return _fold_annotated(value, models[0], where) if len(models) == 1 else value
    if isinstance(value, list) and inside:
        return [_fold_annotated(item, inside[0], f"{where}[{number}]") for number, item in enumerate(value)]
    if isinstance(value, dict) and len(inside) == 2:
        return {key: _fold_annotated(item, inside[1], f"{where}.{key}") for key, item in value.items()}
    return value
