"""Writing: what was pushed is there, at once, unchanged, and nothing else is."""

from __future__ import annotations

import json

from provider_conformance import seed
from provider_conformance.client import Code
from provider_conformance.judge import StoreJudge, fault
from provider_conformance.registry import check
from provider_conformance.seed import Item, Sample
from provider_conformance.verdict import Failed, NotApplicable


def _inside(judge: StoreJudge) -> str:
    """The property by which a plain value is written and read: a store of maps has no plain values."""
    return "value" if judge.limits.values == "object" else ""


def _round_trip(judge: StoreJudge, key: str, value: bytes) -> None:
    if limit := judge.limits.refuses_value(value) or judge.limits.refuses_key(key):
        raise NotApplicable(f"backend limit: {limit}")
    inside = _inside(judge)
    answer = judge.push(key, value, property=inside)
    answer.ok("within the declared limits; a limit that shows has to be declared")
    judge.same(Item(key, value, inside), judge.get(key, property=inside).ok("it was just pushed").value)


def _sample(judge: StoreJudge, sample: Sample) -> None:
    _round_trip(judge, judge.seeds.key(sample.name), judge.seeds.value(sample))


@check("write.round-trip", area="write", profile="core", role="writable", contract=("PUSH-1",))
def round_trip(judge: StoreJudge) -> None:
    """A pushed value is read back as it was.

    If this fails: PushSecret does not work.
    Likely cause: another entry, or another encoding, is written than is read.
    Fix: write secret_data[secret_key] as bytes.
    """
    _sample(judge, seed.TEXT)


@check("write.overwrites", area="write", profile="core", role="writable", contract=("PUSH-1", "PUSH-2"))
def overwrites(judge: StoreJudge) -> None:
    """A second push replaces the first, and the next read sees it.

    If this fails: rotated passwords do not arrive.
    Likely cause: create without update, or a cache that is not cleared by a write.
    Fix: update what exists; drop what is remembered of a key that is written.
    """
    key = judge.seeds.key("twice")
    for value in (b"the first value", b"the second value, which is longer", b"third"):
        _round_trip(judge, key, value)


@check("write.then-absent", area="write", profile="core", role="writable", contract=("PUSH-2",))
def then_absent(judge: StoreJudge) -> None:
    """A key that was just read as absent is there right after it was pushed.

    If this fails: an ExternalSecret that looked a moment too early stays broken.
    Likely cause: absence is remembered, and a push does not clear that memory.
    Fix: drop it when the key is written.
    """
    key = judge.seeds.key("early")
    judge.get(key, property=_inside(judge)).refused(Code.NOT_FOUND, why="nothing was pushed yet")
    _round_trip(judge, key, b"there now")


@check("write.selected-key", area="write", profile="core", role="writable", contract=("PUSH-1",))
def selected_key(judge: StoreJudge) -> None:
    """Only the selected key of the Secret is written.

    If this fails: other entries of the Secret, or the wrong one, go to the backend.
    Likely cause: the first entry, or all of them, are taken.
    Fix: take secret_data[secret_key].
    """
    key, inside = judge.seeds.key("selected"), _inside(judge)
    data = {"a": b"not this", "chosen": b"exactly this", "z": b"nor this"}
    judge.push(key, secret_key="chosen", data=data, property=inside).ok()  # noqa: S106
    judge.same(Item(key, b"exactly this", inside), judge.get(key, property=inside).ok().value)
    whole = judge.get(key).ok().value
    if b"not this" in whole or b"nor this" in whole:
        raise Failed("entries that were not selected were written, too")


@check("write.missing-secret-key", area="write", role="writable", contract=("PUSH-4",))
def missing_secret_key(judge: StoreJudge) -> None:
    """A selected key that the Secret does not have is an error, and nothing is written.

    If this fails: a typing error overwrites the remote secret with nothing.
    Likely cause: a missing entry becomes an empty value.
    Fix: refuse it before the backend is asked.
    """
    key = judge.seeds.key("no-entry")
    answer = judge.push(key, secret_key="no-such-entry", data={"value": b"another entry"})  # noqa: S106
    answer.refused(Code.INVALID_ARGUMENT, Code.FAILED_PRECONDITION, why="the Secret has no such key")
    judge.get(key).refused(Code.NOT_FOUND, why="nothing may be written")


@check("write.no-remote-key", area="write", role="writable", contract=("PUSH-7",))
def no_remote_key(judge: StoreJudge) -> None:
    """An empty remote key is INVALID_ARGUMENT.

    If this fails: a forgotten name writes to a place that nobody meant.
    Likely cause: the empty name goes to the backend.
    Fix: refuse it before the backend is asked.
    """
    judge.push("", b"never to be written").refused(Code.INVALID_ARGUMENT, why="the remote key is empty")


def _pushed_whole(judge: StoreJudge, data: dict[str, bytes]) -> bytes:
    if not judge.limits.push_whole:
        raise NotApplicable("backend limit: push_whole false")
    key = judge.seeds.key("whole")
    judge.push(key, secret_key="", data=data).ok("the whole Secret")
    return judge.get(key).ok("it was just pushed").value


@check("write.whole-secret", area="write", profile="core", role="writable", contract=("PUSH-3",))
def whole_secret(judge: StoreJudge) -> None:
    """Without a selected key the whole Secret is written as one JSON object of texts.

    If this fails: a pushed Secret cannot be read back as a map.
    Likely cause: values are written in base64, or only one of them is.
    Fix: one JSON object, names sorted, values as text.
    """
    got = _pushed_whole(judge, {"user": b"alice", "password": b"hunter2 is not it"})
    if seed.json_object(got) != {"user": "alice", "password": "hunter2 is not it"}:
        raise Failed("the whole Secret is not read back as a JSON object of texts")


@check("write.whole-secret-exact", area="write", role="writable", contract=("PUSH-3",))
def whole_secret_exact(judge: StoreJudge) -> None:
    """The JSON of a whole Secret is compact, sorted, and does not escape <, > and &.

    If this fails: the same Secret gives other bytes than the Go implementation, so every move to this provider is a change.
    Likely cause: the JSON library's defaults (blanks, ASCII only, HTML escapes, order of insertion).
    Fix: sort names, no blanks, no escapes beyond JSON's own.
    """
    if judge.limits.values == "object":
        raise NotApplicable("backend limit: values object (the map itself is written)")
    got = _pushed_whole(judge, {"zz": b"<a&b>", "aa": "\u00e4\u20ac".encode(), "mm": b'"\\\n'})
    want = json.dumps(
        {"aa": "\u00e4\u20ac", "mm": '"\\\n', "zz": "<a&b>"}, separators=(",", ":"), ensure_ascii=False
    )
    if got != want.encode():
        raise Failed(f"the JSON is {got!r} in place of {want.encode()!r}")


def _properties(judge: StoreJudge) -> None:
    if not judge.limits.push_property:
        raise NotApplicable("backend limit: push_property false")


@check("write.property", area="write", role="writable", contract=("PUSH-5",))
def property_(judge: StoreJudge) -> None:
    """A push with a property writes one member and leaves the others as they are.

    If this fails: pushing the second property of a secret removes the first.
    Likely cause: the whole secret is replaced.
    Fix: read, set the member, write.
    """
    _properties(judge)
    key = judge.seeds.key("members")
    judge.push(key, b"one", property="first").ok("the secret is not there yet")
    judge.push(key, b"two", property="second").ok("the secret is there")
    judge.push(key, b"three", property="second").ok("the member is there")
    got = seed.json_object(judge.get(key).ok().value)
    if got != {"first": "one", "second": "three"}:
        names = sorted(got) if got else got
        raise Failed(f"three pushes of two properties left the members {names} (or other values)")


@check("write.property-is-text", area="write", role="writable", contract=("PUSH-5",))
def property_is_text(judge: StoreJudge) -> None:
    """What a property is set to is text, also when it looks like JSON.

    If this fails: a password of digits is stored as a number, and loses its leading zeros.
    Likely cause: the value is parsed before it is set.
    Fix: set a JSON string.
    """
    _properties(judge)
    key = judge.seeds.key("text-member")
    for value in (b"0042", b"true", b'{"a": 1}', b"null"):
        judge.push(key, value, property="member").ok()
        found = seed.json_object(judge.get(key).ok().value) or {}
        if found.get("member") != value.decode():
            raise Failed(f"the text {value!r} was stored as {found.get('member')!r}")


@check("write.property-rest-untouched", area="write", role="writable", contract=("PUSH-5",))
def property_rest_untouched(judge: StoreJudge) -> None:
    """The rest of the document stays byte for byte.

    If this fails: numbers and formatting of other members change with every push.
    Likely cause: the document is parsed and written anew.
    Fix: change the text of that member only.
    """
    _properties(judge)
    if judge.limits.values == "object":
        raise NotApplicable("backend limit: values object (the backend keeps no text)")
    item = judge.seeds.new(b'{"keep":  1.50, "big": 12345678901234567890123, "m": "old"}', name="rest")
    judge.push(item.key, b"new", property="m").ok()
    got = judge.get(item.key).ok().value
    if got != item.value.replace(b"old", b"new"):
        raise Failed(f"the document is now {got!r}")


@check("write.empty-value", area="write", role="writable", contract=("PUSH-1", "GET-11", "PUSH-9"))
def empty_value(judge: StoreJudge) -> None:
    """An empty value can be pushed.

    If this fails: emptying a secret does nothing, or is an error.
    Likely cause: a test for truth where one for presence is meant.
    Fix: tell absent from empty; if the backend refuses empty values, declare limits.empty_value: false.
    """
    _sample(judge, seed.EMPTY)


@check("write.every-byte", area="write", role="writable", contract=("PUSH-1", "PUSH-9"))
def every_byte(judge: StoreJudge) -> None:
    """Each of the 256 byte values can be pushed.

    If this fails: binary secrets are destroyed on their way to the backend.
    Likely cause: the value passes through a text type.
    Fix: keep bytes; if the backend holds text only, declare limits.values: text.
    """
    _sample(judge, seed.EVERY_BYTE)


@check("write.large", area="write", role="writable", contract=("PUSH-1", "PUSH-9", "TR-6"))
def large(judge: StoreJudge) -> None:
    """A value of 3.9 MiB can be pushed.

    If this fails: large Secrets cannot be pushed, or are cut.
    Likely cause: a smaller receive limit, or a limit of the backend that is not declared.
    Fix: receive 4 MiB; declare limits.max_value_bytes if the backend is the limit.
    """
    key, value = judge.seeds.key("large"), judge.seeds.value(seed.LARGE)
    try:
        _round_trip(judge, key, value)
    finally:
        judge.seeds.drop(Item(key, value))


@check("write.odd-keys", area="write", role="writable", contract=("PUSH-1", "GET-10", "PUSH-9"))
def odd_keys(judge: StoreJudge) -> None:
    """Keys with slashes, dots, blanks and other scripts can be pushed, each as a key of its own.

    If this fails: two secrets share one place, and overwrite each other.
    Likely cause: names are normalised or escaped with loss.
    Fix: escape names without loss; declare limits.key_pattern if the backend has a smaller alphabet.
    """
    stem = judge.seeds.key("odd")
    names = [
        f"{stem}/a",
        f"{stem}.a",
        f"{stem} a",
        f"{stem}\u00e4",
        f"{stem}a\u0308",
        f"{stem}%2Fa",
        f"{stem}+a",
    ]
    allowed = [name for name in names if not judge.limits.refuses_key(name)]
    if not allowed:
        raise NotApplicable(f"backend limit: key_pattern {judge.limits.key_pattern}")
    inside = _inside(judge)
    for name in allowed:
        judge.seeds.made(name)
        judge.push(name, f"value of {name}".encode(), property=inside).ok(f"key {name!r}")
    for name in allowed:
        judge.same(
            Item(name, f"value of {name}".encode(), inside), judge.get(name, property=inside).ok().value
        )


@check("write.bad-metadata", area="write", role="writable", contract=("PUSH-6",))
def bad_metadata(judge: StoreJudge) -> None:
    """Push metadata that is not JSON is INVALID_ARGUMENT, and nothing is written.

    If this fails: options such as replication or encryption are silently not applied.
    Likely cause: a parse failure falls back to the defaults.
    Fix: refuse what cannot be parsed.
    """
    _refuses_metadata(judge, b'{"apiVersion": ')


@check("write.unknown-metadata", area="write", role="writable", contract=("PUSH-6",))
def unknown_metadata(judge: StoreJudge) -> None:
    """Push metadata with an unknown field or a wrong kind is INVALID_ARGUMENT, and nothing is written.

    If this fails: a misspelled option is silently not applied.
    Likely cause: unknown fields are ignored.
    Fix: parse metadata strictly.
    """
    api = "kubernetes.external-secrets.io/v1alpha1"
    for document in (
        {"apiVersion": api, "kind": "PushSecretMetadata", "spec": {"conformanceNoSuchField": True}},
        {"apiVersion": api, "kind": "ConformanceNoSuchKind", "spec": {}},
    ):
        _refuses_metadata(judge, json.dumps(document).encode())


@check("write.unmanaged-refused", area="write", role="writable", contract=("PUSH-10",))
def unmanaged_refused(judge: StoreJudge) -> None:
    """A remote secret that is not the provider's own is not overwritten: FAILED_PRECONDITION.

    If this fails: a PushSecret destroys a secret that somebody made by hand.
    Likely cause: the ownership mark is not looked at before the write.
    Fix: read the mark first; without it, refuse with code CONFLICT.
    """
    key, inside = fault(judge.store.faults, "unmanaged"), _inside(judge)
    before = judge.get(key).ok("it exists").value
    answer = judge.push(key, b"never to be written", property=inside)
    answer.refused(Code.FAILED_PRECONDITION, why="the remote secret is not the provider's own")
    if judge.get(key).ok("it still exists").value != before:
        raise Failed("the push was refused, and the secret changed all the same")


def _refuses_metadata(judge: StoreJudge, metadata: bytes) -> None:
    if not judge.limits.push_metadata:
        raise NotApplicable("backend limit: push_metadata false")
    key, inside = judge.seeds.key("metadata"), _inside(judge)
    answer = judge.push(key, b"never to be written", metadata=metadata, property=inside)
    answer.refused(Code.INVALID_ARGUMENT, why="the metadata cannot be understood")
    judge.get(key, property=inside).refused(Code.NOT_FOUND, why="nothing may be written")
