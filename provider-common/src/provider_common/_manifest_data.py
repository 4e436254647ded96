"""The data of Secrets, ConfigMaps and ServiceAccounts, from manifests and from answers of the API server, by its rules.

Every function raises ValueError with a text that names the field, never what is in it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from provider_common.kube import ServiceAccountInfo
from provider_common.sensitive import SecretBytes


def secret_data(content: Mapping[str, Any]) -> Mapping[str, bytes]:
    """`data`, and over it `stringData`."""
    data = {key: SecretBytes(_decoded("data", key, text)) for key, text in _texts(content, "data")}
    data.update(
        (key, SecretBytes(_utf8("stringData", key, text))) for key, text in _texts(content, "stringData")
    )
    return MappingProxyType(data)


def config_map_data(content: Mapping[str, Any]) -> Mapping[str, bytes]:
    """`data` and `binaryData`."""
    data = {key: _utf8("data", key, text) for key, text in _texts(content, "data")}
    data.update((key, _decoded("binaryData", key, text)) for key, text in _texts(content, "binaryData"))
    return MappingProxyType(data)


def account_info(content: Mapping[str, Any], namespace: str, name: str, *, uid: str) -> ServiceAccountInfo:
    """The account with its annotations and the names of its legacy token Secrets."""
    secrets = content.get("secrets") or ()
    names = tuple(
        item["name"] for item in secrets if isinstance(item, dict) and isinstance(item.get("name"), str)
    )
    annotations = MappingProxyType(dict(_texts(content.get("metadata") or {}, "annotations")))
    return ServiceAccountInfo(namespace, name, uid=uid, annotations=annotations, secrets=names)


def _texts(content: Mapping[str, Any], field: str) -> Iterator[tuple[str, str]]:
    values = content.get(field)
    if values is None:
        return
    if not isinstance(values, dict):
        raise ValueError(f"{field} is not a mapping")  # noqa: TRY004 - one kind of error for what is written wrongly
    for key, text in values.items():
        if not isinstance(key, str) or not isinstance(text, str | None):
            raise ValueError(  # noqa: TRY004
                f"{field}.{key} is not text: put it in quotes"
            )
        yield key, text or ""


def _decoded(field: str, key: str, text: str) -> bytes:
    try:
        return base64.b64decode(text.replace("\n", "").replace("\r", ""), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"{field}.{key} is not base64: plain text belongs under stringData") from None


def _utf8(field: str, key: str, text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which only JSON can express
        raise ValueError(f"{field}.{key} is not text: it holds half a character") from None
