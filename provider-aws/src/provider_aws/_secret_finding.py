"""Finding secrets: ListSecrets tells names and tags, BatchGetSecretValue the values of twenty at a time.

AWS's own filters only narrow the list: they match prefixes, and do not tie a tag's key to its value. What comes back is
checked here. A secret that vanishes meanwhile is skipped; one that can't be read fails the find.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from itertools import islice
from typing import TYPE_CHECKING

from provider_common import Find, InvalidRequestError, NoSecretError, PermanentError

from provider_aws._values import tags_of, value_of

if TYPE_CHECKING:
    from provider_aws._client import Client

LIST_PAGE = 100
BATCH = 20
THREADS = 4
_MOST_FILTER_VALUES = 10
_FILTER_VALUE = re.compile(r"(?!!)[A-Za-z0-9 :_@/+=.!-]{1,512}")


def find_secrets(client: Client, find: Find) -> Mapping[str, bytes]:
    """Names and values of the secrets that `find` selects.

    Raises InvalidRequestError when it selects nothing at all.
    """
    if find.name is None and not find.tags and not find.path:
        raise InvalidRequestError("find has to select by name, tags or path")
    found: dict[str, bytes] = {}
    # Values arrive batch by batch while the list is still being paged: neither is held twice.
    for values in _concurrently(client, _batches(_names(client, find))):
        found.update(values)
    return found


def _names(client: Client, find: Find) -> Iterator[str]:
    wanted = {
        "name": {find.path} - {""},
        "tag-key": set(find.tags),
        "tag-value": set(find.tags.values()),
    }
    filters = [
        {"Key": key, "Values": sorted(values)} for key, values in wanted.items() if _can_filter(values)
    ]
    for page in client.pages("ListSecrets", "the list of secrets", MaxResults=LIST_PAGE, Filters=filters):
        for secret in page.get("SecretList") or ():
            name = secret["Name"]
            tags_fit = find.tags.items() <= tags_of(secret).items()
            if name.startswith(find.path) and find.name_matches(name) and tags_fit:
                yield name


def _can_filter(values: Collection[str]) -> bool:
    """Whether AWS takes all of `values` in one filter, and as they are: a `!` in front would be a "not"."""
    return 0 < len(values) <= _MOST_FILTER_VALUES and all(map(_FILTER_VALUE.fullmatch, values))


def _batches(names: Iterator[str]) -> Iterator[list[str]]:
    while batch := list(islice(names, BATCH)):
        yield batch


def _concurrently(client: Client, batches: Iterator[list[str]]) -> Iterator[Mapping[str, bytes]]:
    """The values of each batch, a few batches at a time; each in the caller's context, which holds the deadline."""
    with ThreadPoolExecutor(THREADS, thread_name_prefix="aws-find") as pool:
        waiting: list[Future[Mapping[str, bytes]]] = []
        try:
            for batch in batches:
                waiting.append(pool.submit(copy_context().run, _values, client, batch))
                if len(waiting) >= 2 * THREADS:
                    yield waiting.pop(0).result()
            while waiting:
                yield waiting.pop(0).result()
        finally:
            for future in waiting:
                future.cancel()


def _values(client: Client, names: Sequence[str]) -> Mapping[str, bytes]:
    found: dict[str, bytes] = {}
    gone: set[str] = set()
    try:
        for page in client.pages("BatchGetSecretValue", "a batch of secrets", SecretIdList=list(names)):
            for value in page.get("SecretValues") or ():
                found[value["Name"]] = value_of(value, value["Name"])
            gone |= {
                error.get("SecretId", "")
                for error in page.get("Errors") or ()
                if error.get("ErrorCode") == "ResourceNotFoundException"
            }
    except PermanentError:
        # Not allowed as a batch, or spoiled by one of them: then one by one, where each error has its own name.
        pass
    for name in names:
        if name in found or name in gone:
            continue
        try:
            answer = client.call("GetSecretValue", f"secret {name!r}", key=name, SecretId=name)
        except NoSecretError:
            continue
        found[name] = value_of(answer, name)
    return found
