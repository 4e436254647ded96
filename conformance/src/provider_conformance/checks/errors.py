"""Errors: the right code, a text for users, details for programs, and never a secret."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from google.protobuf.message import Message
from provider_proto.provider.v1 import secretstore_pb2 as pb

from provider_conformance import seed
from provider_conformance.client import Answer, Code
from provider_conformance.judge import ABSENT_OBJECT, OTHER_NAMESPACE, StoreJudge, fault
from provider_conformance.registry import check
from provider_conformance.verdict import Failed, NotApplicable, NotRun

CODES: dict[str, Code] = {
    "NO_SECRET": Code.NOT_FOUND,
    "NO_PROPERTY": Code.FAILED_PRECONDITION,
    "MISSING_REFERENCE": Code.FAILED_PRECONDITION,
    "CONFLICT": Code.FAILED_PRECONDITION,
    "TOO_LARGE": Code.FAILED_PRECONDITION,
    "CONTRACT_VERSION": Code.FAILED_PRECONDITION,
    "PERMANENT": Code.FAILED_PRECONDITION,
    "INVALID_SPEC": Code.INVALID_ARGUMENT,
    "INVALID_REQUEST": Code.INVALID_ARGUMENT,
    "CREDENTIALS": Code.UNAUTHENTICATED,
    "ACCESS_DENIED": Code.PERMISSION_DENIED,
    "UNSUPPORTED": Code.UNIMPLEMENTED,
    "TEMPORARY": Code.UNAVAILABLE,
    "RATE_LIMITED": Code.RESOURCE_EXHAUSTED,
    "OVERLOADED": Code.RESOURCE_EXHAUSTED,
    "DEADLINE": Code.DEADLINE_EXCEEDED,
    "BUG": Code.INTERNAL,
}
"""The codes of ERR-1, each with its status."""

_RETRYABLE = {Code.UNAVAILABLE, Code.RESOURCE_EXHAUSTED, Code.DEADLINE_EXCEEDED}
_INSIDES = re.compile(
    r"Traceback|goroutine \d|panicked at|\bat 0x[0-9a-f]{6,}|File \"|\.(py|go|rs|java):\d+|site-packages|/go/pkg/"
)


def _provoked(judge: StoreJudge) -> Iterator[tuple[str, Answer[Message]]]:
    """Errors that every store can be brought to, with what provoked each."""
    yield "an absent secret", judge.client.call(judge.get_request(judge.absent()))
    yield (
        "a missing config object",
        judge.client.call(judge.get_request(judge.absent(), asker=replace(judge.me, object=ABSENT_OBJECT))),
    )
    yield (
        "an empty source namespace",
        judge.client.call(judge.get_request(judge.absent(), asker=replace(judge.me, source=""))),
    )
    yield (
        "a kind that is not served",
        judge.client.call(
            judge.get_request(judge.absent(), asker=replace(judge.me, config_kind="ConformanceNoSuchKind"))
        ),
    )
    yield (
        "a request without a body",
        judge.client.call(
            pb.GetSecretRequest(provider_ref=judge.ref(), source_namespace=judge.store.namespace)
        ),
    )


@check("errors.missing-object", area="errors", profile="core", contract=("ERR-8", "GET-2"))
def missing_object(judge: StoreJudge) -> None:
    """A missing config object is FAILED_PRECONDITION on every data call.

    If this fails: deleting or renaming a store's config object deletes the users' Secrets (NOT_FOUND under
    deletionPolicy Delete).
    Likely cause: the 404 of the Kubernetes API is passed on.
    Fix: answer FAILED_PRECONDITION, naming kind, name and namespace.
    """
    for request in judge.data_requests(replace(judge.me, object=ABSENT_OBJECT)).values():
        judge.client.call(request).refused(Code.FAILED_PRECONDITION, why="there is no such config object")


@check("errors.unknown-kind", area="errors", profile="core", contract=("CAP-3",))
def unknown_kind(judge: StoreJudge) -> None:
    """A kind that is not served is an error on every data call, and not NOT_FOUND.

    If this fails: a misspelled kind deletes the users' Secrets.
    Likely cause: the lookup of the kind ends in a general not-found.
    Fix: refuse it with INVALID_ARGUMENT, FAILED_PRECONDITION or UNIMPLEMENTED.
    """
    for request in judge.data_requests(replace(judge.me, config_kind="ConformanceNoSuchKind")).values():
        judge.client.call(request).not_absent(why="the kind is not served")


@check("errors.no-reference", area="errors", profile="core", contract=("ERR-7",))
def no_reference(judge: StoreJudge) -> None:
    """A request without a provider reference is INVALID_ARGUMENT.

    If this fails: a defect of the caller looks like one of the provider.
    Likely cause: the unset message is used as if it were there.
    Fix: look for the reference first.
    """
    requests = judge.data_requests() | {
        "Validate": judge.validate_request(),
        "Capabilities": judge.capabilities_request(),
    }
    for request in requests.values():
        request.ClearField("provider_ref")
        judge.client.call(request).refused(Code.INVALID_ARGUMENT, why="there is no provider_ref")


@check("errors.no-body", area="errors", profile="core", contract=("ERR-7",))
def no_body(judge: StoreJudge) -> None:
    """A request without what it asks for is INVALID_ARGUMENT.

    If this fails: a defect of the caller looks like one of the provider, or like an absent secret.
    Likely cause: the unset message is used as if it were there.
    Fix: look for remote_ref, find or push_secret_data first.
    """
    for request in judge.data_requests().values():
        for name in ("remote_ref", "find", "push_secret_data"):
            if name in request.DESCRIPTOR.fields_by_name:
                request.ClearField(name)
        judge.client.call(request).refused(Code.INVALID_ARGUMENT, why="the request has no body")


@check("errors.bad-api-version", area="errors", contract=("NS-1",))
def bad_api_version(judge: StoreJudge) -> None:
    """An api_version that is not group/version is INVALID_ARGUMENT.

    If this fails: a defect of the caller looks like a missing object.
    Likely cause: the text is split without a look at the number of slashes.
    Fix: exactly one slash, with something on both sides.
    """
    for api_version in ("v2alpha1", "a/b/c", "/v1", "group/"):
        answer = judge.get(judge.absent(), asker=replace(judge.me, api_version=api_version))
        answer.refused(Code.INVALID_ARGUMENT, why=f"{api_version!r} is not group/version")


@check("errors.backend-timeout", area="errors", profile="core", contract=("ERR-2", "GET-2"))
def backend_timeout(judge: StoreJudge) -> None:
    """A backend that does not answer in time is UNAVAILABLE, and never absence.

    If this fails: a slow backend deletes the users' Secrets.
    Likely cause: everything that is not a value counts as absent.
    Fix: translate each of the backend's errors on its own; a timeout is UNAVAILABLE.
    """
    judge.get(fault(judge.store.faults, "timeout")).refused(Code.UNAVAILABLE, why="the backend timed out")


@check("errors.backend-unavailable", area="errors", profile="core", contract=("ERR-1", "GET-2"))
def backend_unavailable(judge: StoreJudge) -> None:
    """A backend that is away is UNAVAILABLE.

    If this fails: an outage of the backend deletes Secrets, or is never tried again.
    Likely cause: connection errors are not translated.
    Fix: UNAVAILABLE, with retryable set.
    """
    answer = judge.get(fault(judge.store.faults, "unavailable"))
    answer.refused(Code.UNAVAILABLE, why="the backend is away")


@check("errors.denied", area="errors", profile="core", contract=("ERR-9", "GET-2"))
def denied(judge: StoreJudge) -> None:
    """A secret that the backend refuses is PERMISSION_DENIED, and never absence.

    If this fails: a revoked permission deletes the users' Secrets.
    Likely cause: the backend hides what is forbidden, or its 403 is treated as a 404.
    Fix: PERMISSION_DENIED wherever the backend tells the two apart.
    """
    judge.get(fault(judge.store.faults, "denied")).refused(
        Code.PERMISSION_DENIED, why="the backend refuses it"
    )


@check("errors.rate-limited", area="errors", since=(1, 1), contract=("ERR-1", "EXT-4"))
def rate_limited(judge: StoreJudge) -> None:
    """A rate limit is RESOURCE_EXHAUSTED with a delay after which to try again.

    If this fails: the core tries again at once, which makes it worse.
    Likely cause: the backend's "slow down" is an error like any other.
    Fix: RESOURCE_EXHAUSTED, with google.rpc.RetryInfo.
    """
    answer = judge.get(fault(judge.store.faults, "rate_limited"))
    answer.refused(Code.RESOURCE_EXHAUSTED, why="the backend limits the rate")
    if not answer.retry_delay:
        raise Failed("there is no RetryInfo with a delay")
    if answer.error is not None and answer.error.HasField("retry_delay"):
        said = answer.error.retry_delay.seconds + answer.error.retry_delay.nanos / 1e9
        if abs(said - answer.retry_delay) > 0.001:
            raise Failed(f"RetryInfo says {answer.retry_delay} s, the error detail {said} s")


@check("errors.unauthenticated", area="errors", contract=("ERR-9", "GET-2"))
def unauthenticated(judge: StoreJudge) -> None:
    """Credentials that the backend no longer accepts are UNAUTHENTICATED.

    If this fails: an expired token deletes Secrets, or is reported as something else.
    Likely cause: the backend's 401 is treated as a 404 or as a defect.
    Fix: UNAUTHENTICATED, naming the credentials' place.
    """
    answer = judge.get(fault(judge.store.faults, "unauthenticated"))
    answer.refused(Code.UNAUTHENTICATED, why="the backend does not accept the credentials")


@check("errors.defect", area="errors", contract=("ERR-1", "ERR-3", "ERR-4"))
def defect(judge: StoreJudge) -> None:
    """A defect inside the provider is INTERNAL, with nothing of the exception's text.

    If this fails: exception texts, which may hold anything, reach users and logs.
    Likely cause: str(exception) becomes the status text.
    Fix: class name and request id; the rest goes nowhere.
    """
    if not judge.store.faults.bug:
        raise NotApplicable("declared: no key is known that shows a defect of the provider (faults.bug)")
    answer = judge.get(judge.store.faults.bug)
    answer.refused(Code.INTERNAL, why="the provider has a defect here")
    _no_insides("a defect", answer)
    if judge.session.leaks(answer.text):
        raise Failed("the text holds a secret value")


@check("errors.bad-credentials", area="errors", contract=("ERR-9", "ERR-1"))
def bad_credentials(judge: StoreJudge) -> None:
    """A store with credentials that do not work is UNAUTHENTICATED, PERMISSION_DENIED or FAILED_PRECONDITION.

    If this fails: wrong credentials delete Secrets, or are tried again for ever.
    Likely cause: login failures are not translated.
    Fix: UNAUTHENTICATED when the backend refuses them, FAILED_PRECONDITION when they are missing.
    """
    answer = judge.get(judge.absent(), asker=judge.by(judge.object("bad_credentials")))
    answer.refused(
        Code.UNAUTHENTICATED,
        Code.PERMISSION_DENIED,
        Code.FAILED_PRECONDITION,
        why="its credentials don't work",
    )


@check("errors.invalid-settings", area="errors", contract=("ERR-1",))
def invalid_settings(judge: StoreJudge) -> None:
    """A store whose settings cannot work is INVALID_ARGUMENT.

    If this fails: a typing error in the manifest looks like an outage.
    Likely cause: settings are checked when they are used first.
    Fix: check them when the object is loaded, and name the field.
    """
    answer = judge.get(judge.absent(), asker=judge.by(judge.object("invalid")))
    answer.refused(Code.INVALID_ARGUMENT, why="its settings can't work")


@check("errors.no-values", area="errors", profile="core", contract=("ERR-3",))
def no_values(judge: StoreJudge) -> None:
    """No error of the whole run shows a secret value, in text, details or metadata, plain or encoded.

    If this fails: secrets stand in events, logs and statuses, for everybody to read.
    Likely cause: a library's error text, or a value in a format string.
    Fix: write texts anew; name things, and never values.
    """
    record = judge.item(seed.RECORD)
    text = judge.item(seed.TEXT)
    judge.map(text.key, property=text.property)
    judge.get(record.key, property="password.inner.#(x")
    judge.get(record.key, property="user.first", version="")
    judge.get(text.key, property="member")
    if judge.writable:
        canary = judge.seeds.value(seed.RECORD)
        key = judge.seeds.key("canary")
        judge.push(key, secret_key="no-such-entry", data={"value": canary})  # noqa: S106
        judge.push(key, canary, metadata=b'{"note": "' + judge.session.canary.encode() + b'", broken')
        judge.push("", canary)
        judge.push(
            key, property="a.b", data={"value": canary}, asker=replace(judge.me, source=OTHER_NAMESPACE)
        )
    for answer in judge.session.errors:
        where = [answer.text, *(v if isinstance(v, str) else v.decode("latin-1") for _, v in answer.trailers)]
        if any(judge.session.leaks(part) for part in where):
            raise Failed(f"an error of {answer.method} ({answer.code.name}) shows a secret value")


def _no_insides(what: str, answer: Answer[Message] | Answer[pb.GetSecretResponse]) -> None:
    found = _INSIDES.search(answer.text)
    if found is not None:
        raise Failed(f"the text for {what} shows the provider's insides: {found[0]!r}")


@check("errors.no-insides", area="errors", contract=("ERR-4",))
def no_insides(judge: StoreJudge) -> None:
    """Texts have no stack traces, file paths or addresses.

    If this fails: users read noise, and attackers read which versions to look up.
    Likely cause: an exception is formatted as it is.
    Fix: one sentence for the user; the trace belongs to a debug log.
    """
    for what, answer in _provoked(judge):
        _no_insides(what, answer)
        if answer.code is not Code.OK and not answer.text.strip():
            raise Failed(f"there is no text for {what}")


@check("errors.names-the-thing", area="errors", contract=("ERR-4",))
def names_the_thing(judge: StoreJudge) -> None:
    """Texts name the key, or the config object, that they are about.

    If this fails: a user with many secrets cannot tell which one is missing.
    Likely cause: a general text per status code.
    Fix: put the name into the text.
    """
    key = judge.absent()
    answer = judge.get(key)
    if key not in answer.text:
        raise Failed(f"the text for an absent secret does not name its key: {answer.said()}")
    answer = judge.get(key, asker=replace(judge.me, object=ABSENT_OBJECT))
    if ABSENT_OBJECT not in answer.text:
        raise Failed(f"the text for a missing config object does not name it: {answer.said()}")


@check("errors.stable", area="errors", contract=("ERR-5",))
def stable(judge: StoreJudge) -> None:
    """The same failure gives the same text.

    If this fails: every attempt makes a new event, and the event list fills up.
    Likely cause: a time, a counter, a request id or an address in the text.
    Fix: leave it out; the request id belongs to the log.
    """
    key = judge.absent()
    for asker in (judge.me, replace(judge.me, object=ABSENT_OBJECT)):
        texts = {judge.get(key, asker=asker).text for _ in range(3)}
        if len(texts) != 1:
            raise Failed(f"the same failure gives different texts: {sorted(texts)[:2]}")


@check("errors.one-line", area="errors", contract=("ERR-6",))
def one_line(judge: StoreJudge) -> None:
    """Texts are one line of printable characters, whatever a name in the request has in it.

    If this fails: a key with a line end in it forges log lines.
    Likely cause: names go into texts as they are.
    Fix: quote names with escapes (Python's !r, Go's %q).
    """
    key = judge.absent() + "\r\nforged: line\x1b[31m\x07"
    answer = judge.get(key)
    if any(not character.isprintable() for character in answer.text):
        raise Failed(f"the text holds control characters: {answer.said()}")


@check("errors.short", area="errors", contract=("TR-9",))
def short(judge: StoreJudge) -> None:
    """An error about a very long name fits a caller's default limit for metadata.

    If this fails: the caller sees RESOURCE_EXHAUSTED in place of the error, and retries for ever.
    Likely cause: the name stands in the text, in the details and in the error at full length.
    Fix: shorten names in texts and details to some hundred characters.
    """
    key = judge.absent() + "n" * 6000
    answer = judge.get(key)
    size = len(answer.text.encode()) + sum(len(name) + len(value) for name, value in answer.trailers)
    if answer.code is Code.RESOURCE_EXHAUSTED or size > 8192:
        raise Failed(f"text and trailers of an error about a key of 6 KiB: {answer.code.name}, {size} bytes")


@check("errors.detail", area="errors", since=(1, 1), contract=("EXT-3",))
def detail(judge: StoreJudge) -> None:
    """Every error carries a status detail whose code and message agree with the status, and an Error.

    If this fails: a core can act on the status only, and not on what kind of failure it is.
    Likely cause: the status is set without details on some path, often for requests that are refused early.
    Fix: make every error in one place.
    """
    for what, answer in _provoked(judge):
        status, error = answer.status, answer.error
        if status is None or error is None:
            raise Failed(f"the error for {what} ({answer.said()}) has no detail of type provider.v1.Error")
        if (
            status.code != answer.code.value[0]
            or status.message != answer.text
            or error.message != answer.text
        ):
            raise Failed(f"status and details for {what} have different codes or messages")


@check("errors.codes", area="errors", since=(1, 1), contract=("EXT-5", "ERR-1"))
def codes(judge: StoreJudge) -> None:
    """The codes of the errors are those of the contract, each with its status.

    If this fails: programs that act on the code do the wrong thing.
    Likely cause: a code of the provider's own, or one used for another status.
    Fix: use the table of ERR-1.
    """
    wanted = {"an absent secret": "NO_SECRET", "a missing config object": "MISSING_REFERENCE"}
    for what, answer in _provoked(judge):
        error = answer.error
        if error is None:
            raise Failed(f"the error for {what} has no detail")
        if CODES.get(error.code) is not answer.code:
            raise Failed(f"the error for {what} has code {error.code!r} with status {answer.code.name}")
        if error.code != wanted.get(what, error.code):
            raise Failed(f"the error for {what} has code {error.code!r} in place of {wanted[what]!r}")


@check("errors.retryable", area="errors", since=(1, 1), contract=("EXT-4", "ERR-1"))
def retryable(judge: StoreJudge) -> None:
    """`retryable` is set for errors that may pass, and for no others.

    If this fails: a permanent error is tried again for ever, or an outage is not tried again.
    Likely cause: the flag is set by default.
    Fix: follow the table of ERR-1.
    """
    answers = list(_provoked(judge))
    answers += [
        (f"faults.{name}", judge.client.call(judge.get_request(key)))
        for name in ("timeout", "unavailable", "denied", "rate_limited")
        if (key := getattr(judge.store.faults, name))
    ]
    for what, answer in answers:
        if answer.error is None:
            raise Failed(f"the error for {what} has no detail")
        if answer.error.retryable is not (answer.code in _RETRYABLE):
            raise Failed(f"the error for {what} ({answer.code.name}) has retryable={answer.error.retryable}")


@check("errors.details-are-names", area="errors", since=(1, 1), contract=("ERR-3", "EXT-3"))
def details_are_names(judge: StoreJudge) -> None:
    """The details of an error name the key it is about.

    If this fails: a program has to parse texts to learn what is missing.
    Likely cause: details are left empty.
    Fix: put the names of the objects and fields concerned into details.
    """
    key = judge.absent()
    error = judge.get(key).error
    if error is None:
        raise NotRun("the error has no detail; see errors.detail")
    if key not in error.details.values():
        raise Failed(f"the details of an absent secret are {dict(error.details)}, without the key")
