"""Hostile payloads: whatever arrives, the answer is a refusal, and the server serves on."""

from __future__ import annotations

import random
from dataclasses import replace

from google.protobuf.message import Message
from provider_proto.generator.v1 import generator_pb2
from provider_proto.provider.v1 import secretstore_pb2

from provider_conformance import seed
from provider_conformance.client import Answer, Code, path_of
from provider_conformance.fuzz import random_message
from provider_conformance.judge import ServerJudge, StoreJudge
from provider_conformance.registry import check
from provider_conformance.verdict import Failed

_DEFECTS = {Code.INTERNAL, Code.UNKNOWN, Code.UNAVAILABLE, Code.DATA_LOSS}


def _paths(judge: ServerJudge) -> list[str]:
    modules = {
        "provider.v1.SecretStoreProvider": secretstore_pb2,
        "generator.v1.GeneratorProvider": generator_pb2,
    }
    return [
        f"/{service}/{method}"
        for service in judge.services
        for method in modules[service].DESCRIPTOR.services_by_name[service.rpartition(".")[2]].methods_by_name
    ]


def _unserved(judge: ServerJudge) -> set[str]:
    """Methods that no store or generator of the target claims, and that may so be unknown to the server (WIRE-4)."""
    found = set()
    if all(store.capability == "READ_ONLY" for store in judge.stores):
        found |= {"PushSecret", "DeleteSecret", "SecretExists"}
    if all(store.capability == "WRITE_ONLY" for store in judge.stores):
        found |= {"GetSecret", "GetSecretMap"}
    if not any(store.limits.find for store in judge.stores):
        found.add("GetAllSecrets")
    if not any(generator.generator.stateful for generator in judge.generators):
        found.add("Cleanup")
    return found


def _refused(judge: ServerJudge, answer: Answer[Message], what: str) -> None:
    if answer.code is Code.UNIMPLEMENTED and answer.method in _unserved(judge):
        return
    if answer.code is not Code.INVALID_ARGUMENT:
        raise Failed(f"{answer.method}: {what} has to be INVALID_ARGUMENT, but answered {answer.said()}")


def _no_defect(answer: Answer[Message], what: str) -> None:
    if answer.code in _DEFECTS:
        raise Failed(f"{answer.method}: {what} is no reason for a defect, but answered {answer.said()}")


def _alive(judge: ServerJudge) -> None:
    judge.client.call(judge.harmless()).ok("the server has to go on serving")


@check("hostile.garbage", area="hostile", profile="core", role="server", contract=("WIRE-5",))
def garbage(judge: ServerJudge) -> None:
    """Bytes that are no message are INVALID_ARGUMENT, on every method.

    If this fails: any caller can fill the log with defects, or stop the server.
    Likely cause: the gRPC library's deserialiser fails before the provider's own code.
    Fix: take the bytes, parse them in the handler, and answer INVALID_ARGUMENT.
    """
    for path in _paths(judge):
        for payload in (b"\xff" * 40, b"\x0a\xff\xff\xff\xff\x0f", b"\x00", b"{}"):
            _refused(judge, judge.client.call(payload, path=path), f"{len(payload)} bytes of garbage")
    _alive(judge)


@check("hostile.truncated", area="hostile", profile="core", role="server", contract=("WIRE-5",))
def truncated(judge: ServerJudge) -> None:
    """A message that ends in the middle of a field is INVALID_ARGUMENT.

    If this fails: half a request is carried out, or counts as a defect.
    Likely cause: the gRPC library's deserialiser fails before the provider's own code.
    Fix: take the bytes, parse them in the handler, and answer INVALID_ARGUMENT.
    """
    request = judge.harmless()
    whole = request.SerializeToString()
    for cut in sorted({1, 2, 3, len(whole) // 2, len(whole) - 1}):
        message = type(request)()
        try:
            message.ParseFromString(whole[:cut])
        except Exception:  # noqa: BLE001 - protobuf's implementations raise different classes
            answer = judge.client.call(whole[:cut], path=path_of(request))
            _refused(judge, answer, f"a request cut after {cut} bytes")
    _alive(judge)


@check("hostile.bad-utf8", area="hostile", role="server", contract=("WIRE-5",))
def bad_utf8(judge: ServerJudge) -> None:
    """A string that is not UTF-8 is INVALID_ARGUMENT.

    If this fails: names that cannot be printed travel on into logs, files and backends.
    Likely cause: strings are not checked when the message is parsed.
    Fix: parse with a proto3 parser that checks UTF-8.
    """
    # Field 1 of the first message field: its own field 1, a string of three bytes that are not UTF-8.
    payload = b"\x0a\x05\x0a\x03\xff\xfe\xfd"
    for path in _paths(judge):
        _refused(judge, judge.client.call(payload, path=path), "a string that is not UTF-8")
    _alive(judge)


@check("hostile.empty-messages", area="hostile", profile="core", role="server", contract=("WIRE-6", "ERR-7"))
def empty_messages(judge: ServerJudge) -> None:
    """An empty message is INVALID_ARGUMENT, on every method.

    If this fails: an empty request looks like a defect, or does something.
    Likely cause: unset messages are used as if they were there.
    Fix: look for the reference first.
    """
    for path in _paths(judge):
        _refused(judge, judge.client.call(b"", path=path), "an empty message")


def _make_plausible(judge: ServerJudge, request: Message, source: random.Random) -> None:
    """Give the request a reference that leads somewhere, so that it gets past the first refusal.

    Then it may write, too: the key becomes one of the suite's own.
    """
    names = request.DESCRIPTOR.fields_by_name
    if "generator_ref" in names:
        judge_ = source.choice(list(judge.generators))
        request.generator_ref.CopyFrom(judge_.ref())  # type: ignore[attr-defined]
        request.source_namespace = judge_.generator.namespace  # type: ignore[attr-defined]
        return
    store = source.choice(list(judge.stores))
    request.provider_ref.CopyFrom(store.ref())  # type: ignore[attr-defined]
    if source.random() < 0.9:
        request.source_namespace = store.store.namespace  # type: ignore[attr-defined]
    for field in ("push_secret_data", "remote_ref"):
        inner = names[field].message_type if field in names else None
        if inner is not None and "remote_key" in inner.fields_by_name and request.HasField(field):
            key = f"{store.store.key_prefix}fuzz-{source.randrange(5)}"
            store.seeds.made(key)
            getattr(request, field).remote_key = key


@check("hostile.fuzzed", area="hostile", role="server", contract=("WIRE-6", "WIRE-5"))
def fuzzed(judge: ServerJudge) -> None:
    """Random messages, made from the descriptors, are answered without a defect.

    If this fails: some combination of fields makes the provider fail inside; the reason tells the seed to repeat it.
    Likely cause: a field that is used without a look at its content.
    Fix: run again with --seed, find the request, and refuse what cannot be used.
    """
    source = random.Random(judge.session.seed)  # noqa: S311 - repeatable on purpose
    for number in range(300):
        module = secretstore_pb2 if judge.stores and (number % 4 or not judge.generators) else generator_pb2
        names = [name for name in module.DESCRIPTOR.message_types_by_name if name.endswith("Request")]
        request = random_message(getattr(module, source.choice(names)), source)
        if source.random() < 0.7:
            _make_plausible(judge, request, source)
        answer = judge.client.call(request)
        _no_defect(answer, f"random request {number} of seed {judge.session.seed}")
    _alive(judge)


@check("hostile.fuzzed-bytes", area="hostile", role="server", contract=("WIRE-5",))
def fuzzed_bytes(judge: ServerJudge) -> None:
    """Valid requests with a few bytes changed are answered without a defect.

    If this fails: a damaged request makes the provider fail inside; the reason tells the seed to repeat it.
    Likely cause: the parser's exceptions are not all caught.
    Fix: one try around the parsing, and INVALID_ARGUMENT for whatever it raises.
    """
    source = random.Random(judge.session.seed + 1)  # noqa: S311 - repeatable on purpose
    request = judge.harmless()
    whole = request.SerializeToString()
    for number in range(100):
        damaged = bytearray(whole)
        for _ in range(source.randint(1, 4)):
            damaged[source.randrange(len(damaged))] = source.randrange(256)
        answer = judge.client.call(bytes(damaged), path=path_of(request))
        if judge.target.differences_of and answer.code is Code.INTERNAL:
            continue  # how grpc-go answers what it can't parse; see hostile.garbage
        _no_defect(answer, f"damaged request {number} of seed {judge.session.seed}")
    _alive(judge)


_ODD = (
    "\0", "a\0b", "\n", "..", "../../../../etc/passwd", "/", "//", "%00", "%2e%2e%2f", "{{ .x }}", "${jndi:ldap://x}",
    "' OR 1=1 --", "\ufeff", "\u202egpj", "\U0010ffff", "a" * 3000, "*", "?", "[", "~", "-rf", "con", "nul\\",
)  # fmt: skip


@check("hostile.odd-keys", area="hostile", contract=("WIRE-6", "GET-10", "GET-2"))
def odd_keys(judge: StoreJudge) -> None:
    """Odd keys are absent or refused: no file, no path, no template, and no defect.

    If this fails: a key leads out of the store's place, or stops the server.
    Likely cause: the key becomes part of a path, a URL, a query or a template.
    Fix: escape it by the backend's rules, or refuse it with INVALID_ARGUMENT.
    """
    wanted = {Code.NOT_FOUND, Code.INVALID_ARGUMENT, Code.FAILED_PRECONDITION, Code.PERMISSION_DENIED}
    for key in _ODD:
        answer = judge.get(key)
        if answer.code not in wanted:
            raise Failed(f"the key {key[:40]!r} is absent or refused, but answered {answer.said()}")


@check("hostile.odd-properties", area="hostile", contract=("WIRE-6", "GET-8"))
def odd_properties(judge: StoreJudge) -> None:
    """Odd properties give a part or a refusal, and never a defect or absence.

    If this fails: a path that nobody thought of looks like a defect, or deletes a Secret.
    Likely cause: the path's parser raises, or recurses without end.
    Fix: whatever cannot be followed is a property that is not there.
    """
    item = judge.document(seed.DOCUMENT)
    odd = (
        "#(",
        "#(x==",
        "@",
        "@no_such",
        "|",
        "||",
        ".",
        "..",
        "{",
        "[",
        "!",
        "!x",
        "*",
        "#.#.#",
        "a" * 3000,
        "." * 2000,
    )
    for path in (*odd, "list.99999999999999999999", "list.-1", "[" * 1000, "#(#(#(", "\0", "\\"):
        answer = judge.get(item.key, property=path)
        if answer.code not in {Code.OK, judge.no_property, Code.INVALID_ARGUMENT, Code.FAILED_PRECONDITION}:
            raise Failed(f"the property {path[:40]!r} answered {answer.said()}")


@check("hostile.odd-patterns", area="hostile", contract=("FIND-8", "WIRE-6"))
def odd_patterns(judge: StoreJudge) -> None:
    """Patterns made to take for ever are answered or refused soon.

    If this fails: one manifest stops the provider for everybody.
    Likely cause: a regular expression library that backtracks.
    Fix: use RE2.
    """
    if "name" not in judge.limits.find:
        judge.find(".*")
        return
    judge.seeds.new(b"a name to match", name="a" * 40)
    for pattern in (
        "(a+)+$!",
        "(a|a)*b!",
        "(.*)(.*)(.*)(.*)(.*)!",
        "((a{1,50}){1,50}){1,50}",
        "(a?){40}a{40}!",
    ):
        answer = judge.client.call(judge.find_request(pattern), timeout=judge.client.timeout)
        if answer.code not in {Code.OK, Code.INVALID_ARGUMENT}:
            raise Failed(f"the pattern {pattern!r} answered {answer.said()}")


@check("hostile.huge-key", area="hostile", contract=("WIRE-6", "TR-9"))
def huge_key(judge: StoreJudge) -> None:
    """A key of 1 MiB is absent or refused, with a short text.

    If this fails: one request makes an error too large to be sent, or a log line of 1 MiB.
    Likely cause: names go into texts at full length.
    Fix: shorten names in texts and details.
    """
    answer = judge.get("K" * (1 << 20))
    if answer.code not in {Code.NOT_FOUND, Code.INVALID_ARGUMENT, Code.FAILED_PRECONDITION}:
        raise Failed(f"a key of 1 MiB answered {answer.said()}")


@check("hostile.odd-references", area="hostile", contract=("WIRE-6", "GET-2"))
def odd_references(judge: StoreJudge) -> None:
    """Odd names of objects, kinds and namespaces are refused, and never absent or a defect.

    If this fails: a reference leads to another object, or a missing one deletes Secrets.
    Likely cause: names become part of a path or URL.
    Fix: Kubernetes names are DNS labels: refuse everything else.
    """
    for odd in ("../other", "a/b", "", "\0", "a" * 3000, "%2e%2e", "UPPER", "*"):
        for asker in (
            replace(judge.me, object=odd),
            replace(judge.me, namespace=odd or "-", source=odd or "-"),
            replace(judge.me, config_kind=odd or "-"),
        ):
            judge.get(judge.absent(), asker=asker).not_absent(why=f"{odd[:40]!r} names nothing")


@check("hostile.large-map", area="hostile", role="server", contract=("WIRE-6", "TR-6"))
def large_map(judge: ServerJudge) -> None:
    """A push with ten thousand entries, and a name of 100 KiB among them, is answered without a defect.

    If this fails: a large Secret stops the provider.
    Likely cause: work that grows with the square of the number of entries.
    Fix: look only at the entry that is asked for.
    """
    store = judge.store()
    key = store.seeds.key("large-map")
    data = {f"entry-{n}": b"x" for n in range(10_000)} | {"n" * 100_000: b"x", "value": b"chosen"}
    answer = store.push(key, data=data)
    if answer.code in _DEFECTS or answer.code is Code.DEADLINE_EXCEEDED:
        raise Failed(f"a push of 10,000 entries answered {answer.said()}")
    _alive(judge)
