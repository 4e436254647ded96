"""Reading a value: the bytes of the backend, all of them and nothing else, and NOT_FOUND for absence alone."""

from __future__ import annotations

from provider_conformance import seed
from provider_conformance.client import Code
from provider_conformance.judge import StoreJudge
from provider_conformance.registry import check
from provider_conformance.seed import Sample
from provider_conformance.verdict import Failed, NotApplicable, NotRun


def _reads(judge: StoreJudge, sample: Sample, **kwargs: str) -> None:
    item = judge.item(sample)
    judge.same(item, judge.read(item, **kwargs))


def _reads_large(judge: StoreJudge, sample: Sample) -> None:
    """The same, and the secret goes at once: it would weigh on every find."""
    item = judge.item(sample)
    try:
        judge.same(item, judge.read(item))
    finally:
        judge.seeds.drop(item)


def _property(judge: StoreJudge, path: str, want: bytes) -> None:
    got = judge.property_of(seed.DOCUMENT, path)
    if got != want:
        raise Failed(f"property {path!r} answered {got!r} in place of {want!r}")


@check("get.value", area="read", profile="core", contract=("GET-1",))
def value(judge: StoreJudge) -> None:
    """A value is answered as the backend holds it.

    If this fails: no ExternalSecret of this store gets the right value.
    Likely cause: the wrong object or field of the backend's answer is taken.
    Fix: compare with what the backend's own command line shows for the same key.
    """
    _reads(judge, seed.TEXT)


@check("get.missing-key", area="read", profile="core", contract=("GET-2",))
def missing_key(judge: StoreJudge) -> None:
    """A key that the backend does not have is NOT_FOUND.

    If this fails: deletionPolicy never works, and a deleted secret is an error for ever.
    Likely cause: the backend's "no such secret" is not translated, or becomes an empty value.
    Fix: answer NOT_FOUND when, and only when, the backend itself says that there is no such secret.
    """
    judge.get(judge.absent()).refused(Code.NOT_FOUND, why="there is no such secret")


@check("get.no-prefix-match", area="read", profile="core", contract=("GET-3",))
def no_prefix_match(judge: StoreJudge) -> None:
    """A key that is only the beginning of an existing one, or goes beyond it, is absent.

    If this fails: a misspelled key silently yields another secret.
    Likely cause: the secret is looked for with a prefix or a search, and the first hit is taken.
    Fix: read by the exact name.
    """
    item = judge.item(seed.TEXT)
    for key in (item.key[:-1], f"{item.key}x"):
        judge.get(key, property=item.property).refused(Code.NOT_FOUND, why="only a similar key exists")


@check("get.version", area="read", profile="core", contract=("GET-4",))
def version(judge: StoreJudge) -> None:
    """A version selects exactly that version.

    If this fails: a rollback to an earlier version reads the wrong value, and nobody sees it.
    Likely cause: the version is ignored, or counted from another number than the backend does.
    Fix: hand the version to the backend as it is written.
    """
    versions = [entry for entry in judge.store.keys if entry.version]
    if not versions:
        raise NotRun("not seeded: needs existing keys with a version (keys[].version)")
    for entry in versions:
        got = (
            judge.get(entry.key, version=entry.version, property=entry.property)
            .ok("this version exists")
            .value
        )
        if got != entry.value:
            raise Failed(f"version {entry.version!r} of {entry.key!r} answered the value of another version")


@check("get.missing-version", area="read", profile="core", contract=("GET-2", "GET-4"))
def missing_version(judge: StoreJudge) -> None:
    """A version that does not exist is NOT_FOUND, although the secret has others.

    If this fails: a pinned version that was destroyed reads some other value, or an error that never goes away.
    Likely cause: an unknown version falls back to the current one.
    Fix: hand the version to the backend, and translate its "no such version" to NOT_FOUND.
    """
    entry = next((entry for entry in judge.store.keys if entry.version), None)
    if entry is None:
        raise NotRun("not seeded: needs existing keys with a version (keys[].version)")
    known = {e.version for e in judge.store.keys if e.key == entry.key}
    digits = [int(v) for v in known if v.isdigit()]
    absent = str(max(digits) + 100_000) if len(digits) == len(known) else f"{entry.version}0"
    judge.get(entry.key, version=absent, property=entry.property).refused(
        Code.NOT_FOUND, why="no such version"
    )


@check("get.not-decoded", area="read", profile="core", contract=("GET-5",))
def not_decoded(judge: StoreJudge) -> None:
    """A value is not decoded, whatever decoding strategy the request names.

    If this fails: values are decoded twice, by the provider and by the core, which corrupts them silently.
    Likely cause: decoding_strategy is acted upon; it is there for information only.
    Fix: ignore it.
    """
    for strategy in ("None", "Base64", "Base64URL", "Auto", ""):
        _reads(judge, seed.BASE64, decoding=strategy)


@check("get.property", area="read", profile="core", contract=("GET-6",))
def property_(judge: StoreJudge) -> None:
    """A property selects one member of a JSON secret.

    If this fails: one secret with several values, the most usual form, cannot be used.
    Likely cause: the property is ignored, or the value is not parsed as JSON.
    Fix: parse the value and follow the property as a path.
    """
    item = judge.document(seed.RECORD)
    members = seed.json_object(item.value) or {}
    for name, want in members.items():
        if isinstance(want, str) and name.isidentifier():
            got = judge.get(item.key, property=name).ok(f"property {name!r} is there").value
            if got != want.encode():
                raise Failed(f"property {name!r} is not answered as its text ({len(got)} bytes)")


@check("get.missing-property", area="read", profile="core", contract=("GET-8",))
def missing_property(judge: StoreJudge) -> None:
    """A property that the secret does not have is an error, and not NOT_FOUND.

    If this fails: a typing error in `property` deletes the user's Secret under deletionPolicy Delete.
    Likely cause: the missing property is reported as the missing secret.
    Fix: answer FAILED_PRECONDITION (code NO_PROPERTY): the secret itself is there.
    """
    item = judge.document(seed.RECORD)
    wanted = judge.no_property
    judge.get(item.key, property="no_such_member").refused(
        wanted, why="the secret is there, the property is not"
    )


@check("get.property-of-text", area="read", contract=("GET-8",))
def property_of_text(judge: StoreJudge) -> None:
    """A property of a value that is not JSON is an error, and not NOT_FOUND.

    If this fails: a secret that someone changed to plain text looks deleted, or its whole value lands where a part was asked for.
    Likely cause: what cannot be parsed is treated as absent, or the value is answered unparsed.
    Fix: answer FAILED_PRECONDITION (code NO_PROPERTY).
    """
    item = judge.document(seed.TEXT)
    wanted = judge.no_property
    judge.get(item.key, property="member").refused(wanted, why="the value is not JSON")


@check("get.property-nested", area="read", profile="core", contract=("GET-6",))
def property_nested(judge: StoreJudge) -> None:
    """A dotted property goes down into nested objects.

    If this fails: nested documents can only be read as a whole.
    Likely cause: only top-level members are looked up.
    Fix: follow the property as a gjson path.
    """
    _property(judge, "nested.deep.er", b"found")


@check("get.property-literal-dots", area="read", contract=("GET-6",))
def property_literal_dots(judge: StoreJudge) -> None:
    """A member whose name has dots wins over the path that reads the same.

    If this fails: keys such as `tls.crt` cannot be read, or read something else.
    Likely cause: the property is split at its dots at once.
    Fix: look for a member with exactly this name first.
    """
    _property(judge, "a.b", b"literal")


@check("get.property-escaped-dots", area="read", contract=("GET-6",))
def property_escaped_dots(judge: StoreJudge) -> None:
    r"""A dot escaped by a backslash belongs to the name.

    If this fails: manifests that were written for the Go implementation find nothing.
    Likely cause: the path is split by a plain split at dots.
    Fix: implement gjson's escapes.
    """
    _property(judge, r"a\.b", b"literal")


@check("get.property-index", area="read", contract=("GET-6",))
def property_index(judge: StoreJudge) -> None:
    """A number in a property selects an element of a list, and `#` its length.

    If this fails: lists in secrets cannot be used.
    Likely cause: path steps are looked up in objects only.
    Fix: follow the property as a gjson path.
    """
    _property(judge, "list.1", b"one")
    _property(judge, "list.2.two", b"2")
    _property(judge, "list.#", b"3")


@check("get.property-big-number", area="read", contract=("GET-7",))
def property_big_number(judge: StoreJudge) -> None:
    """An integer keeps all its digits, also beyond 2^53.

    If this fails: account numbers and ids are changed in their last digits.
    Likely cause: numbers pass through a 64-bit float.
    Fix: take the digits from the document's text.
    """
    _property(judge, "big", b"12345678901234567890123")
    _property(judge, "beyond", b"9007199254740993")


@check("get.property-fraction", area="read", contract=("GET-7",))
def property_fraction(judge: StoreJudge) -> None:
    """A number with a fraction is answered without an exponent.

    If this fails: a program that expects 0.001 reads 1e-3.
    Likely cause: the number's text is taken as it stands, or the language's default formatting is used.
    Fix: write the shortest decimal without an exponent.
    """
    _property(judge, "half", b"1.5")
    _property(judge, "small", b"0.001")


@check("get.property-null", area="read", contract=("GET-7",))
def property_null(judge: StoreJudge) -> None:
    """JSON null is there, and is answered as zero bytes.

    If this fails: the text `null` or `None` ends up as a password, or an existing member looks missing.
    Likely cause: null is not told from absence, or is formatted as text.
    Fix: answer zero bytes.
    """
    _property(judge, "nothing", b"")


@check("get.property-empty", area="read", contract=("GET-7", "GET-11"))
def property_empty(judge: StoreJudge) -> None:
    """An empty string is a property like any other.

    If this fails: an empty member is reported as missing.
    Likely cause: a test for truth where one for presence is meant.
    Fix: tell absent from empty.
    """
    _property(judge, "empty", b"")


@check("get.property-bool", area="read", contract=("GET-7",))
def property_bool(judge: StoreJudge) -> None:
    """The booleans true and false are answered as these words.

    If this fails: `True` or `1` is read where `true` was written.
    Likely cause: the language's own formatting of booleans.
    Fix: write the JSON words.
    """
    _property(judge, "yes", b"true")
    _property(judge, "no", b"false")


@check("get.property-raw", area="read", contract=("GET-7",))
def property_raw(judge: StoreJudge) -> None:
    """An object or list is answered as it stands in the document, blanks included.

    If this fails: signatures and hashes over a nested document do not match any more.
    Likely cause: the document is parsed and written anew.
    Fix: cut the text out of the document.
    """
    if judge.limits.values == "object":
        raise NotApplicable("backend limit: values object (the backend keeps no text of nested values)")
    _property(judge, "raw", b'{"z":  1, "a" : [1,2 ]}')
    _property(judge, "list", b'["zero", "one", {"two": 2}]')


@check("get.property-escapes", area="read", contract=("GET-7",))
def property_escapes(judge: StoreJudge) -> None:
    r"""JSON escapes are undone in names and in values, surrogate pairs included.

    If this fails: passwords with quotes, backslashes or letters beyond ASCII arrive with their escapes.
    Likely cause: the raw text between the quotes is taken.
    Fix: decode JSON strings, including \u escapes and surrogate pairs.
    """
    _property(judge, "quote", b'a"b\\c')
    _property(judge, "\u00fcnic\u00f6de", "\u00e4\u20ac\U0001f600".encode())


@check("get.whole-document", area="read", profile="core", contract=("GET-1",))
def whole_document(judge: StoreJudge) -> None:
    """Without a property the whole document is answered, byte for byte.

    If this fails: the order of members, blanks and number formats change on the way.
    Likely cause: the value is parsed and written anew although no property was asked for.
    Fix: pass the bytes through.
    """
    _reads(judge, seed.DOCUMENT)


@check("get.empty-value", area="read", contract=("GET-11",))
def empty_value(judge: StoreJudge) -> None:
    """An empty value is OK and zero bytes.

    If this fails: an empty secret is an error, or looks deleted.
    Likely cause: a test for truth where one for presence is meant.
    Fix: tell absent from empty; if the backend refuses empty values, declare limits.empty_value: false.
    """
    _reads(judge, seed.EMPTY)


@check("get.every-byte", area="read", contract=("GET-1",))
def every_byte(judge: StoreJudge) -> None:
    """Each of the 256 byte values passes unchanged.

    If this fails: keystores, certificates in DER and other binary secrets are destroyed.
    Likely cause: the value passes through a text type.
    Fix: keep bytes; if the backend holds text only, declare limits.values: text.
    """
    _reads(judge, seed.EVERY_BYTE)


@check("get.nul", area="read", contract=("GET-1",))
def nul(judge: StoreJudge) -> None:
    """A NUL byte within a value passes; to judge it is the core's business.

    If this fails: values are cut at their first zero byte.
    Likely cause: a C string, or a check that belongs to the core.
    Fix: keep bytes with their length.
    """
    _reads(judge, seed.NUL)


@check("get.blanks-and-lines", area="read", contract=("GET-1",))
def blanks_and_lines(judge: StoreJudge) -> None:
    """Blanks and line ends at both ends are kept.

    If this fails: keys in PEM, and passwords that end in a blank, stop working.
    Likely cause: a strip() for tidiness.
    Fix: trim nothing.
    """
    _reads(judge, seed.LINES)


@check("get.unicode-value", area="read", contract=("GET-1",))
def unicode_value(judge: StoreJudge) -> None:
    """Text of any script passes unchanged, and is not normalised.

    If this fails: passwords with accents fail at login, and nobody sees why.
    Likely cause: a wrong charset, or Unicode normalisation.
    Fix: pass the bytes through.
    """
    _reads(judge, seed.UNICODE)


@check("get.one-mib", area="read", contract=("GET-1", "TR-7"))
def one_mib(judge: StoreJudge) -> None:
    """A value of 1 MiB is answered whole.

    If this fails: large certificates bundles and configuration files are cut or refused.
    Likely cause: a read of one buffer only, or a limit of the provider's own.
    Fix: read to the end; declare limits.max_value_bytes if the backend is the limit.
    """
    _reads_large(judge, seed.MEBIBYTE)


@check("get.large", area="read", contract=("GET-1", "TR-7"))
def large(judge: StoreJudge) -> None:
    """A value of 3.9 MiB, the largest that fits an answer, is answered whole.

    If this fails: the limit is lower than the contract says, and shows only in production.
    Likely cause: a lower message limit, or a copy that takes too long.
    Fix: allow answers up to 4 MiB; declare limits.max_value_bytes if the backend is the limit.
    """
    _reads_large(judge, seed.LARGE)


def _key_reads(judge: StoreJudge, name: str) -> None:
    key = judge.seeds.key(name)
    text = judge.seeds.value(seed.TEXT) + b" " + name.encode()
    item = judge.seeds.under(key, text, hard=True)
    judge.same(item, judge.read(item))


@check("get.slash-key", area="read", contract=("GET-10",))
def slash_key(judge: StoreJudge) -> None:
    """A key with slashes is read as it is.

    If this fails: the usual names with folders in them cannot be read.
    Likely cause: the key goes into a URL without being escaped, or is split.
    Fix: escape it by the backend's rules; declare limits.key_pattern if the backend has no slashes.
    """
    _key_reads(judge, "team/app//db")


@check("get.dotted-key", area="read", contract=("GET-10",))
def dotted_key(judge: StoreJudge) -> None:
    """A key with dots is one key, and not a path.

    If this fails: a secret named like a host or a file cannot be read.
    Likely cause: key and property are joined and split again.
    Fix: keep the key and the property apart.
    """
    _key_reads(judge, "db.example.com.crt")


@check("get.unicode-key", area="read", contract=("GET-10",))
def unicode_key(judge: StoreJudge) -> None:
    """A key with letters of other scripts, blanks and signs is read as it is.

    If this fails: such names read something else, or nothing.
    Likely cause: a missing or doubled escape, or Unicode normalisation.
    Fix: escape it by the backend's rules; declare limits.key_pattern if the backend has a smaller alphabet.
    """
    _key_reads(judge, "schl\u00fcssel e\u0301 \u65e5\u672c +%20&?#=")


@check("get.long-key", area="read", contract=("GET-10",))
def long_key(judge: StoreJudge) -> None:
    """A key of 400 characters is read as it is.

    If this fails: long names are cut, so that two secrets become one.
    Likely cause: a limit of the provider's own, or a hash that is too short.
    Fix: pass the name through; declare limits.max_key_bytes if the backend is the limit.
    """
    _key_reads(judge, "k" * 400)


@check("get.metadata", area="read", contract=("GET-9",))
def metadata(judge: StoreJudge) -> None:
    """The metadata policy Fetch answers metadata as JSON, and never the value.

    If this fails: the secret's value lands in a place that is meant for its labels.
    Likely cause: metadata_policy is ignored.
    Fix: answer the backend's metadata as a JSON object, or an error where there is none.
    """
    item = judge.item(seed.TEXT)
    answer = judge.get(item.key, metadata="Fetch")
    if answer.code is Code.NOT_FOUND:
        raise Failed("the secret exists, but its metadata is answered as NOT_FOUND")
    if not judge.limits.metadata_fetch:
        if answer.code is Code.OK and answer.ok().value == item.value:
            raise NotApplicable("backend limit: metadata_fetch false")
        return
    value = answer.ok("the backend has metadata").value
    if item.value in value or seed.json_object(value) is None:
        raise Failed("the answer is not a JSON object of metadata")


@check("get.empty-key", area="read", contract=("GET-12",))
def empty_key(judge: StoreJudge) -> None:
    """An empty key is INVALID_ARGUMENT.

    If this fails: a forgotten key lists a folder, or looks like a deleted secret.
    Likely cause: the empty name goes to the backend.
    Fix: refuse it before the backend is asked.
    """
    judge.get("").refused(Code.INVALID_ARGUMENT, why="the key is empty")
