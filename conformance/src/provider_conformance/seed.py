"""What the checks read: samples, how they get into the backend, and how everything the suite made goes away again."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from provider_conformance.verdict import Failed, NotApplicable, NotRun

CANARY = b"@CANARY@"
"""Stands in a sample where the run puts a random word, so that a leaked value can be told from chance."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A value to be read. Without write access an existing secret that is `like` it stands in for it."""

    name: str
    value: bytes
    like: Callable[[bytes], bool] = field(default=lambda _: False)
    hard: bool = False
    """At the edge of what a backend takes: that it can't be seeded is then a limit that shows and is not declared."""


@dataclass(frozen=True, slots=True)
class Item:
    """A secret that is in the backend, and how to read its value."""

    key: str
    value: bytes = field(repr=False)
    property: str = ""
    ours: bool = True


def json_object(value: bytes) -> dict[str, object] | None:
    """The JSON object in `value`; None when it is something else."""
    try:
        found = json.loads(value)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _text(value: bytes) -> bool:
    return bool(value) and value.isascii() and json_object(value) is None and b"\0" not in value


def _record(value: bytes) -> bool:
    found = json_object(value)
    return bool(found) and any(isinstance(member, str) and member for member in (found or {}).values())


TEXT = Sample("text", b"plain text, canary " + CANARY, _text)
RECORD = Sample("record", b'{"user": "alice", "password": "canary ' + CANARY + b'"}', _record)
BASE64 = Sample("base64", b"aGVsbG8gd29ybGQgMTIzNA==")
DOCUMENT = Sample(
    "document",
    b'{"text": "two words", "nested": {"deep": {"er": "found"}}, "list": ["zero", "one", {"two": 2}],'
    b' "a.b": "literal", "a": {"b": "path"}, "big": 12345678901234567890123, "beyond": 9007199254740993,'
    b' "half": 1.50, "small": 1e-3, "yes": true, "no": false, "nothing": null, "empty": "",'
    b' "raw": {"z":  1, "a" : [1,2 ]}, "\\u00fcnic\\u00f6de": "\\u00e4\\u20ac\\ud83d\\ude00", "quote": "a\\"b\\\\c"}',
)
EMPTY_OBJECT = Sample("empty-object", b"{}", lambda value: json_object(value) == {})
DUPLICATES = Sample("duplicates", b'{"twice": "first", "once": "only", "twice": "second"}')
LIST = Sample("list", b'["canary ' + CANARY + b'", 1, 2]')
EMPTY = Sample("empty", b"", lambda value: value == b"", hard=True)
EVERY_BYTE = Sample("every-byte", bytes(range(256)), lambda value: set(value) == set(range(256)), hard=True)
NUL = Sample("nul", b"before\0after", lambda value: b"\0" in value, hard=True)
LINES = Sample(
    "lines",
    b" \t\r\nfirst\r\nsecond\n\n ",
    lambda value: value[:1].isspace() and value[-1:].isspace(),
    hard=True,
)
UNICODE = Sample(
    "unicode",
    "na\u00efve \u65e5\u672c\u8a9e \U0001f511 e\u0301 \u00e9".encode(),
    lambda value: not value.isascii() and b"\xf0" in value,
    hard=True,
)
MEBIBYTE = Sample("one-mib", b"0123456789abcdef" * 65536, lambda value: len(value) >= 1 << 20, hard=True)
LARGE = Sample(
    "large", b"L" * (39 * (1 << 20) // 10), lambda value: len(value) >= 39 * (1 << 20) // 10, hard=True
)


class Seeds:
    """Secrets of one store, made on demand, shared by the checks that only read, and remembered to be removed.

    `put` and `remove` reach the backend: through the endpoint itself or past it. Both raise on failure.
    """

    def __init__(
        self,
        *,
        canary: str,
        prefix: str,
        put: Callable[[str, bytes, Mapping[str, str]], str] | None,
        remove: Callable[[str], None],
        refuses_value: Callable[[bytes], str],
        refuses_key: Callable[[str], str],
        existing: tuple[Item, ...],
    ) -> None:
        """`put` stores a value under a key and answers the property to read it by; None: nothing can be made."""
        self._canary = canary
        self._prefix = prefix
        self._put = put
        self._remove = remove
        self._refuses_value = refuses_value
        self._refuses_key = refuses_key
        self._existing = existing
        self._shared: dict[str, Item] = {}
        self._made: dict[str, None] = {}
        self._count = 0

    def value(self, sample: Sample) -> bytes:
        """The sample's value with this run's canary."""
        return sample.value.replace(CANARY, self._canary.encode())

    def key(self, name: str) -> str:
        """A new key; what is stored under it is removed at the end."""
        self._count += 1
        key = f"{self._prefix}{self._canary[:6]}-{self._count}-{name}"
        self.made(key)
        return key

    def made(self, key: str) -> None:
        """Remember that there may be something under this key."""
        self._made[key] = None

    def item(self, sample: Sample) -> Item:
        """The sample as a secret to be read and not changed: made once, or one that exists and is like it."""
        found = self._shared.get(sample.name)
        if found is None:
            found = self._shared[sample.name] = self._find(sample)
        return found

    def new(self, value: bytes, *, name: str = "own", tags: Mapping[str, str] | None = None) -> Item:
        """A secret of the check's own, which it may change."""
        return self.under(self.key(name), value, tags=tags)

    def under(
        self, key: str, value: bytes, *, tags: Mapping[str, str] | None = None, hard: bool = False
    ) -> Item:
        """A secret under this very key. `hard`: that it can't be made is a failure, unless a limit declares it."""
        if limit := self._refuses_value(value) or self._refuses_key(key):
            raise NotApplicable(f"backend limit: {limit}")
        if self._put is None:
            raise NotRun(
                "not seeded: the target can neither push, nor run a command or hook, nor names such a key"
            )
        self.made(key)
        try:
            return Item(key, value, self._put(key, value, tags or {}))
        except Failed as problem:
            if hard:
                raise Failed(f"a limit shows that the target does not declare: {problem}") from None
            raise NotRun(f"not seeded: {problem}") from None

    def drop(self, item: Item) -> None:
        """Remove a secret of ours before the end of the run: a large one, that would weigh on every find."""
        if item.ours and item.key in self._made:
            self._remove(item.key)
            del self._made[item.key]
            self._shared = {name: shared for name, shared in self._shared.items() if shared.key != item.key}

    def cleanup(self) -> list[str]:
        """Remove everything that was made; the keys that could not be removed, with the reason."""
        left = []
        for key in self._made:
            try:
                self._remove(key)
            except Exception as problem:  # noqa: BLE001 - whatever happens, the next key is tried
                left.append(f"{key}: {problem}")
        self._made.clear()
        self._shared.clear()
        return left

    def _find(self, sample: Sample) -> Item:
        if self._put is not None:
            return self.under(self.key(sample.name), self.value(sample), hard=sample.hard)
        if limit := self._refuses_value(self.value(sample)):
            raise NotApplicable(f"backend limit: {limit}")
        for item in self._existing:
            if item.value == sample.value or sample.like(item.value):
                return item
        raise NotRun(f"not seeded: no existing key of the target is like the sample {sample.name!r}")
