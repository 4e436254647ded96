"""Reading a map: one entry per member of a JSON object, by the same rules as a property."""

from __future__ import annotations

from provider_conformance import seed
from provider_conformance.client import Code
from provider_conformance.judge import StoreJudge
from provider_conformance.registry import check
from provider_conformance.seed import Sample
from provider_conformance.verdict import Failed, NotApplicable


def _members(judge: StoreJudge, sample: Sample = seed.DOCUMENT, property: str = "") -> dict[str, bytes]:  # noqa: A002
    item = judge.document(sample)
    return dict(judge.map(item.key, property=property).ok("the secret is a JSON object").secrets)


def _expect(got: dict[str, bytes], **want: bytes) -> None:
    for name, value in want.items():
        if got.get(name) != value:
            raise Failed(f"member {name!r} is {got.get(name)!r} in place of {value!r}")


@check("map.members", area="map", profile="core", contract=("MAP-1", "MAP-2"))
def members(judge: StoreJudge) -> None:
    """Every member of the JSON object is an entry, with its text as value.

    If this fails: `dataFrom.extract` gives wrong or incomplete Secrets.
    Likely cause: members of other types than string are dropped, or all are written as JSON.
    Fix: one entry per member; strings as their text.
    """
    item = judge.document(seed.RECORD)
    want = seed.json_object(item.value) or {}
    got = dict(judge.map(item.key).ok("the secret is a JSON object").secrets)
    if set(got) != set(want):
        raise Failed(f"the names are {sorted(got)} in place of {sorted(want)}")
    for name, value in want.items():
        if isinstance(value, str) and got[name] != value.encode():
            raise Failed(f"member {name!r} is not answered as its text ({len(got[name])} bytes)")


@check("map.missing-key", area="map", profile="core", contract=("MAP-5", "GET-2"))
def missing_key(judge: StoreJudge) -> None:
    """The map of a secret that does not exist is NOT_FOUND.

    If this fails: deletionPolicy does not work for extracts.
    Likely cause: absence becomes an empty map, or an error of another code.
    Fix: answer as GetSecret does.
    """
    judge.map(judge.absent()).refused(Code.NOT_FOUND, why="there is no such secret")


@check("map.not-an-object", area="map", profile="core", contract=("MAP-4", "ERR-3"))
def not_an_object(judge: StoreJudge) -> None:
    """The map of a value that is not a JSON object is an error that does not show the value.

    If this fails: the parser's message, with the secret in it, lands in events and logs; or the Secret is emptied.
    Likely cause: the JSON library's error text is passed on, or a parse failure becomes an empty map.
    Fix: write the text anew, with the key and the reason.
    """
    samples = (seed.TEXT,) if judge.limits.values == "object" else (seed.TEXT, seed.LIST)
    for sample in samples:
        item = judge.document(sample)
        answer = judge.map(item.key, property=item.property)
        answer.not_absent(why="the value is not a JSON object")
        if judge.session.leaks(answer.text):
            raise Failed("the error text shows the secret's value")


@check("map.value-kinds", area="map", contract=("MAP-2", "GET-7"))
def value_kinds(judge: StoreJudge) -> None:
    """Numbers, booleans, objects and lists become their JSON text, whole and exact.

    If this fails: numbers lose digits, or nested values turn into the language's own notation.
    Likely cause: values are parsed and formatted by the language's defaults.
    Fix: take the member's text out of the document.
    """
    got = _members(judge)
    _expect(
        got,
        text=b"two words",
        big=b"12345678901234567890123",
        beyond=b"9007199254740993",
        yes=b"true",
        no=b"false",
    )
    if judge.limits.values != "object":
        _expect(got, raw=b'{"z":  1, "a" : [1,2 ]}', half=b"1.50", small=b"1e-3")
    if seed.json_object(got.get("nested", b"")) != {"deep": {"er": "found"}}:
        raise Failed("a nested object is not answered as JSON")


@check("map.null", area="map", contract=("MAP-2", "GET-7"))
def null(judge: StoreJudge) -> None:
    """A member that is null is an entry of zero bytes.

    If this fails: the entry is missing, or reads `null`.
    Likely cause: null is dropped or formatted.
    Fix: an entry of zero bytes.
    """
    _expect(_members(judge), nothing=b"", empty=b"")


@check("map.names", area="map", contract=("MAP-3",))
def names(judge: StoreJudge) -> None:
    """Member names are answered as they are, with dots and letters of any script.

    If this fails: `rewrite` rules do not match, and members disappear.
    Likely cause: names are converted or filtered by the provider.
    Fix: leave names to the core.
    """
    _expect(_members(judge), **{"a.b": b"literal", "\u00fcnic\u00f6de": "\u00e4\u20ac\U0001f600".encode()})


@check("map.property", area="map", contract=("MAP-1", "GET-6"))
def property_(judge: StoreJudge) -> None:
    """With a property the map is made of the object found there.

    If this fails: only top-level objects can be extracted.
    Likely cause: the property of a map request is ignored.
    Fix: apply the property first, then make the map.
    """
    got = _members(judge, property="nested.deep")
    if got != {"er": b"found"}:
        raise Failed(f"the object at nested.deep has the names {sorted(got)} in place of ['er']")


@check("map.missing-property", area="map", contract=("MAP-5", "GET-8"))
def missing_property(judge: StoreJudge) -> None:
    """A property that the secret does not have is an error, and not NOT_FOUND.

    If this fails: a typing error empties or deletes the user's Secret.
    Likely cause: the missing property is reported as the missing secret, or as an empty map.
    Fix: answer as GetSecret does.
    """
    item = judge.document(seed.RECORD)
    judge.map(item.key, property="no_such_member").refused(judge.no_property, why="the property is not there")


@check("map.not-decoded", area="map", contract=("MAP-5", "GET-5"))
def not_decoded(judge: StoreJudge) -> None:
    """Values of a map are not decoded.

    If this fails: values are decoded twice, which corrupts them silently.
    Likely cause: decoding_strategy is acted upon.
    Fix: ignore it.
    """
    item = judge.seeds.new(b'{"coded": "aGVsbG8gd29ybGQgMTIzNA=="}', name="coded-map")
    for strategy in ("Base64", "Auto"):
        _expect(dict(judge.map(item.key, decoding=strategy).ok().secrets), coded=b"aGVsbG8gd29ybGQgMTIzNA==")


@check("map.empty-object", area="map", contract=("MAP-5",))
def empty_object(judge: StoreJudge) -> None:
    """An empty object is an empty map.

    If this fails: an emptied secret is an error, or looks deleted.
    Likely cause: a test for truth where one for presence is meant.
    Fix: answer OK without entries.
    """
    if judge.limits.values == "object" and not judge.limits.empty_value:
        raise NotApplicable("backend limit: empty_value false")
    got = _members(judge, seed.EMPTY_OBJECT)
    if got:
        raise Failed(f"an empty object has the names {sorted(got)}")


@check("map.duplicates", area="map", contract=("MAP-6",))
def duplicates(judge: StoreJudge) -> None:
    """Of members of the same name one is answered, always the same.

    If this fails: the Secret changes back and forth, and everything that mounts it restarts.
    Likely cause: the document is walked in no fixed order.
    Fix: decide for the first or the last one.
    """
    seen = {_members(judge, seed.DUPLICATES).get("twice") for _ in range(5)}
    if len(seen) != 1 or not seen <= {b"first", b"second"}:
        raise Failed(f"a duplicate member is answered as {sorted(map(repr, seen))}")


@check("map.agrees-with-get", area="map", contract=("MAP-1", "GET-6"))
def agrees_with_get(judge: StoreJudge) -> None:
    """Each entry equals what GetSecret answers for that member.

    If this fails: moving from `data` to `dataFrom` changes values.
    Likely cause: two code paths with two sets of rules.
    Fix: make map and property from the same function.
    """
    item = judge.document(seed.RECORD)
    for name, value in judge.map(item.key).ok().secrets.items():
        if (
            name.isidentifier()
            and judge.get(item.key, property=name).ok("the map has this member").value != value
        ):
            raise Failed(f"GetSecretMap and GetSecret differ in member {name!r}")
