"""What a secret's value says: reading and writing parts of it, and its forms as a map, as text and as JSON.

Everything here is a function of bytes, equal to the Go libraries that the Go providers use, and knows neither stores
nor requests. Messages of its errors name fields and types, never values.
"""

from __future__ import annotations

from provider_common.values import gjson, sjson
from provider_common.values.decode import decode_json, decoded_to_bytes, to_map, to_map_decoded
from provider_common.values.encode import Json, go_json, whole_secret
from provider_common.values.metadata import METADATA_API_VERSION, METADATA_KIND, parse_push_metadata
from provider_common.values.names import NameMatcher, compile_name, convert_key, convert_keys
from provider_common.values.property import (
    any_dot,
    inner_dot,
    select_property,
    with_property,
    without_property,
)

__all__ = [
    "METADATA_API_VERSION",
    "METADATA_KIND",
    "Json",
    "NameMatcher",
    "any_dot",
    "compile_name",
    "convert_key",
    "convert_keys",
    "decode_json",
    "decoded_to_bytes",
    "gjson",
    "go_json",
    "inner_dot",
    "parse_push_metadata",
    "select_property",
    "sjson",
    "to_map",
    "to_map_decoded",
    "whole_secret",
    "with_property",
    "without_property",
]
