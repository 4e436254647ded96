"""Finding parameters: by path with their values, or by description and then ten values at a time.

GetParametersByPath answers values at once, but knows no tags, and needs a permission that not everybody has. The other way
is DescribeParameters and GetParameters. A parameter that vanishes meanwhile is skipped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

from provider_common import AccessDeniedError, Find, InvalidRequestError, NoSecretError

if TYPE_CHECKING:
    from provider_aws._client import Client

BY_PATH_PAGE = 10
DESCRIBE_PAGE = 50
BATCH = 10


def find_parameters(client: Client, find: Find) -> Mapping[str, bytes]:
    """Full names and values of the parameters that `find` selects.

    Raises InvalidRequestError when it selects nothing at all, or has a path that can't be one.
    """
    if find.name is None and not find.tags and not find.path:
        raise InvalidRequestError("find has to select by name, tags or path")
    if find.path and not find.path.startswith("/"):
        raise InvalidRequestError(
            f"find.path {find.path!r} has to begin with /: it is a level of the hierarchy"
        )
    if find.tags:
        return _described(client, find)
    try:
        return _by_path(client, find)
    except AccessDeniedError:
        # Some may list and read, but not by path.
        return _described(client, find)


def _by_path(client: Client, find: Find) -> Mapping[str, bytes]:
    found: dict[str, bytes] = {}
    for page in client.pages(
        "GetParametersByPath",
        "the parameters by path",
        Path=find.path or "/",
        Recursive=True,
        WithDecryption=True,
        MaxResults=BY_PATH_PAGE,
    ):
        for parameter in page.get("Parameters") or ():
            if find.name_matches(parameter["Name"]):
                found[parameter["Name"]] = parameter["Value"].encode()
    return found


def _described(client: Client, find: Find) -> Mapping[str, bytes]:
    found: dict[str, bytes] = {}
    names = _names(client, find)
    while batch := list(islice(names, BATCH)):
        found.update(_values(client, batch))
    return found


def _names(client: Client, find: Find) -> Iterator[str]:
    filters: list[dict[str, Any]] = [
        {"Key": f"tag:{key}", "Option": "Equals", "Values": [value]}
        for key, value in sorted(find.tags.items())
    ]
    if path := find.path.rstrip("/"):
        filters.append({"Key": "Path", "Option": "Recursive", "Values": [path]})
    for page in client.pages(
        "DescribeParameters", "the list of parameters", ParameterFilters=filters, MaxResults=DESCRIBE_PAGE
    ):
        for parameter in page.get("Parameters") or ():
            if find.name_matches(parameter["Name"]):
                yield parameter["Name"]


def _values(client: Client, names: list[str]) -> Mapping[str, bytes]:
    try:
        answer = client.call("GetParameters", "a batch of parameters", Names=names, WithDecryption=True)
    except AccessDeniedError:
        return dict(_one_by_one(client, names))
    # What AWS calls invalid here has vanished since it was listed.
    return {parameter["Name"]: parameter["Value"].encode() for parameter in answer.get("Parameters") or ()}


def _one_by_one(client: Client, names: list[str]) -> Iterator[tuple[str, bytes]]:
    for name in names:
        try:
            answer = client.call(
                "GetParameter", f"parameter {name!r}", key=name, Name=name, WithDecryption=True
            )
        except NoSecretError:
            continue
        yield name, answer["Parameter"]["Value"].encode()
