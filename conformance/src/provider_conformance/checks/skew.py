"""Version skew: old and new peers work together, and a foreign major version is told so."""

from __future__ import annotations

import re
from dataclasses import replace

from google.protobuf.message import Message
from provider_proto import CONTRACT_VERSION

from provider_conformance import seed
from provider_conformance.client import Code, path_of
from provider_conformance.judge import ABSENT_OBJECT, ServerJudge, StoreJudge
from provider_conformance.registry import check
from provider_conformance.verdict import Failed, NotApplicable

_MAJOR, _MINOR = CONTRACT_VERSION
_FOREIGN = f"{_MAJOR + 1}.0"
_UNKNOWN_FIELD = b"\xfa\xff\x03\x05hello"  # field 8191, five bytes
_VERSION = re.compile(r"\d+\.\d+")


@check("skew.baseline-served", area="skew", profile="core", role="server", contract=("VER-2", "WIRE-3"))
def baseline_served(judge: ServerJudge) -> None:
    """A caller without a contract version is served.

    If this fails: no Go core can use the provider.
    Likely cause: the version is demanded.
    Fix: its absence means the baseline, 1.0.
    """
    judge.client.call(judge.harmless(), version=None).ok("no contract version means the baseline")


@check("skew.baseline-reads", area="skew", profile="core", contract=("VER-2", "WIRE-3"))
def baseline_reads(judge: StoreJudge) -> None:
    """A baseline request, without version and without the full store, gets the same value.

    If this fails: a provider that works with one core does not with another.
    Likely cause: something is taken from the full store that the baseline says elsewhere.
    Fix: work without extensions; use them only where the contract says so.
    """
    item = judge.item(seed.TEXT)
    request = judge.get_request(item.key, property=item.property)
    request.ClearField("store")
    answer = judge.client.call(request, version=None)
    judge.same(item, answer.ok("a baseline request").value)  # type: ignore[attr-defined]


@check("skew.full-store-reads", area="skew", profile="core", since=(1, 1), contract=("EXT-1",))
def full_store_reads(judge: StoreJudge) -> None:
    """A request with the full store gets the same value as one without.

    If this fails: this contract's own core cannot use the provider.
    Likely cause: the full store is refused, or replaces the reference.
    Fix: use it for what NS-8 says, and otherwise leave it alone.
    """
    item = judge.item(seed.TEXT)
    request = judge.get_request(item.key, property=item.property)
    request.store.CopyFrom(judge.full_store())
    request.store.spec.retry_settings.max_retries = 0
    answer = judge.client.call(request, version=f"{_MAJOR}.{_MINOR}")
    judge.same(item, answer.ok("a request with the full store").value)  # type: ignore[attr-defined]


@check("skew.answers-version", area="skew", profile="core", role="server", since=(1, 1), contract=("VER-3",))
def answers_version(judge: ServerJudge) -> None:
    """The trailing metadata of an answer has the server's contract version.

    If this fails: a core cannot warn of a peer that is too old.
    Likely cause: the version is sent in the initial metadata, or not at all.
    Fix: send eso-contract-version as trailing metadata.
    """
    said = judge.client.call(judge.harmless()).version
    if said is None or not _VERSION.fullmatch(said):
        raise Failed(f"the contract version in the trailing metadata is {said!r}")
    if int(said.partition(".")[0]) != judge.target.contract[0]:
        raise Failed(f"the server says version {said}, and served version {judge.target.contract[0]}.x")


@check("skew.errors-carry-version", area="skew", since=(1, 1), contract=("VER-3",))
def errors_carry_version(judge: StoreJudge) -> None:
    """Errors carry the version, too.

    If this fails: just when something does not fit, the version is not known.
    Likely cause: the metadata is set after the call succeeded.
    Fix: set it before anything can fail.
    """
    for asker in (judge.me, replace(judge.me, object=ABSENT_OBJECT), replace(judge.me, source="")):
        answer = judge.get(judge.absent(), asker=asker)
        if answer.version is None:
            raise Failed(f"an error has no contract version in its trailing metadata: {answer.said()}")


def _served(judge: ServerJudge, version: str) -> None:
    judge.client.call(judge.harmless(), version=version).ok(f"a caller of version {version}")


@check("skew.older-minor", area="skew", role="server", since=(1, 1), contract=("VER-4",))
def older_minor(judge: ServerJudge) -> None:
    """A caller of an older minor version is served.

    If this fails: providers cannot be upgraded before the core.
    Likely cause: versions are compared for equality.
    Fix: compare the major version only.
    """
    for minor in range(_MINOR + 1):
        _served(judge, f"{_MAJOR}.{minor}")


@check("skew.newer-minor", area="skew", role="server", since=(1, 1), contract=("VER-4",))
def newer_minor(judge: ServerJudge) -> None:
    """A caller of a newer minor version is served.

    If this fails: the core cannot be upgraded before the providers.
    Likely cause: versions are compared with "not greater".
    Fix: compare the major version only.
    """
    for minor in (_MINOR + 1, _MINOR + 2, 12, 1000):
        _served(judge, f"{_MAJOR}.{minor}")


@check(
    "skew.foreign-major-refused",
    area="skew",
    profile="core",
    role="server",
    since=(1, 1),
    contract=("VER-5",),
)
def foreign_major_refused(judge: ServerJudge) -> None:
    """A caller of another major version is refused with FAILED_PRECONDITION.

    If this fails: two sides that mean different things by the same fields work together, until it hurts.
    Likely cause: the version is not looked at.
    Fix: refuse another major version before anything is done.
    """
    for version in (_FOREIGN, f"{_MAJOR + 10}.{_MINOR}", "0.9"):
        answer = judge.client.call(judge.harmless(), version=version)
        answer.refused(Code.FAILED_PRECONDITION, why=f"the caller speaks {version}")


@check("skew.foreign-major-text", area="skew", role="server", since=(1, 1), contract=("VER-5", "EXT-5"))
def foreign_major_text(judge: ServerJudge) -> None:
    """The refusal names both versions and what to upgrade.

    If this fails: the user sees that something does not fit, and not what to do.
    Likely cause: a general text.
    Fix: name the caller's version, the server's, and the side that is older.
    """
    answer = judge.client.call(judge.harmless(), version=_FOREIGN)
    if _FOREIGN not in answer.text or f"{_MAJOR}." not in answer.text or "upgrade" not in answer.text.lower():
        raise Failed(f"the text does not name both versions and what to upgrade: {answer.said()}")
    if answer.error is None or answer.error.code != "CONTRACT_VERSION":
        raise Failed("the refusal has no detail with code CONTRACT_VERSION")


@check("skew.foreign-major-does-nothing", area="skew", role="writable", since=(1, 1), contract=("VER-5",))
def foreign_major_does_nothing(judge: StoreJudge) -> None:
    """A push by a caller of another major version writes nothing.

    If this fails: data is written by rules that the caller does not mean.
    Likely cause: the version is looked at after the work.
    Fix: look at it first.
    """
    key = judge.seeds.key("foreign")
    answer = judge.client.call(judge.push_request(key, b"never to be written"), version=_FOREIGN)
    answer.refused(Code.FAILED_PRECONDITION, why="another major version")
    judge.get(key).refused(Code.NOT_FOUND, why="nothing may be written")


@check("skew.unreadable-version", area="skew", role="server", since=(1, 1), contract=("VER-5",))
def unreadable_version(judge: ServerJudge) -> None:
    """A version that cannot be read is refused, and not as a defect.

    If this fails: nonsense in a header looks like a defect of the provider.
    Likely cause: the text is converted to numbers without care.
    Fix: INVALID_ARGUMENT or FAILED_PRECONDITION.
    """
    for version in ("banana", "1", "1.x", "-1.0", "1.1.1", "9" * 400):
        answer = judge.client.call(judge.harmless(), version=version)
        wanted = (Code.INVALID_ARGUMENT, Code.FAILED_PRECONDITION)
        answer.refused(*wanted, why=f"version {version[:20]!r} cannot be read")


def _with_unknown(request: Message) -> tuple[bytes, str]:
    return request.SerializeToString() + _UNKNOWN_FIELD, path_of(request)


@check("skew.unknown-fields", area="skew", profile="core", role="server", contract=("WIRE-2",))
def unknown_fields(judge: ServerJudge) -> None:
    """Unknown fields of a request are ignored.

    If this fails: no newer core can use the provider.
    Likely cause: a strict parser, or JSON in between.
    Fix: let protobuf skip what it does not know.
    """
    payload, path = _with_unknown(judge.harmless())
    judge.client.call(payload, path=path).ok("a request with an unknown field")


@check("skew.unknown-fields-inside", area="skew", contract=("WIRE-2",))
def unknown_fields_inside(judge: StoreJudge) -> None:
    """Unknown fields within a reference are ignored, and the value is the same.

    If this fails: no newer core can use the provider.
    Likely cause: messages are compared or hashed as bytes.
    Fix: use the fields that are known.
    """
    item = judge.item(seed.TEXT)
    request = judge.get_request(item.key, property=item.property)
    request.provider_ref.MergeFromString(_UNKNOWN_FIELD)
    request.remote_ref.MergeFromString(_UNKNOWN_FIELD)
    answer = judge.client.call(request)
    judge.same(item, answer.ok("unknown fields within references").value)  # type: ignore[attr-defined]


@check("skew.unknown-words", area="skew", contract=("WIRE-2", "GET-5"))
def unknown_words(judge: StoreJudge) -> None:
    """A decoding strategy that nobody knows yet changes nothing.

    If this fails: a new strategy of the core breaks reading, although it is none of the provider's business.
    Likely cause: the word is checked.
    Fix: ignore it.
    """
    item = judge.item(seed.TEXT)
    judge.same(item, judge.read(item, decoding="ConformanceFuture"))


@check("skew.baseline-kinds", area="skew", contract=("VER-2", "NS-4"))
def baseline_kinds(judge: StoreJudge) -> None:
    """The store kinds of both Go dialects are served.

    If this fails: one of the two Go cores cannot use the provider.
    Likely cause: an unknown store kind is refused.
    Fix: it decides the scope (NS-4), and nothing else.
    """
    if judge.target.differences_of:
        raise NotApplicable("a Go server knows its own dialect's kinds only")
    item = judge.item(seed.TEXT)
    for kind in ("SecretStore", "Provider"):
        asker = replace(judge.me, kind=kind)
        request = judge.get_request(item.key, property=item.property, asker=asker)
        request.ClearField("store")
        answer = judge.client.call(request, version=None)
        judge.same(item, answer.ok(f"a store of kind {kind}").value)  # type: ignore[attr-defined]
