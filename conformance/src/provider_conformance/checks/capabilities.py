"""Capabilities and the description: what a provider says of itself, without I/O, and whether it is true."""

from __future__ import annotations

from dataclasses import replace

from provider_proto.provider.v1 import description_pb2
from provider_proto.provider.v1 import secretstore_pb2 as pb

from provider_conformance.client import Code
from provider_conformance.judge import ABSENT_OBJECT, GeneratorJudge, ServerJudge, StoreJudge
from provider_conformance.registry import check
from provider_conformance.verdict import Failed, NotApplicable

_WORDS = {"READ_ONLY": "ReadOnly", "WRITE_ONLY": "WriteOnly", "READ_WRITE": "ReadWrite"}


@check("capabilities.answers", area="capabilities", profile="core", contract=("CAP-1",))
def answers(judge: StoreJudge) -> None:
    """Capabilities answers one of the three known values.

    If this fails: a core never sets the store ready.
    Likely cause: the method is not implemented, or the value is not of the enum.
    Fix: answer READ_ONLY, WRITE_ONLY or READ_WRITE.
    """
    number = judge.capabilities().ok().capabilities
    if number not in pb.SecretStoreCapabilities.values():
        raise Failed(f"the value is {number}, which the contract does not have")


@check("capabilities.no-io", area="capabilities", profile="core", contract=("CAP-1", "NS-2"))
def no_io(judge: StoreJudge) -> None:
    """Capabilities answers the same for an object that does not exist, and without a source namespace.

    If this fails: a store stays without capabilities, and in one dialect never becomes ready.
    Likely cause: the config object is loaded first.
    Fix: decide by api_version and kind alone.
    """
    want = judge.capabilities().ok().capabilities
    for asker in (
        replace(judge.me, object=ABSENT_OBJECT),
        judge.cluster(source=""),
        replace(judge.me, object=ABSENT_OBJECT, namespace="", source=""),
    ):
        got = judge.capabilities(asker).ok("it does not need the object").capabilities
        if got != want:
            raise Failed("the answer depends on the object's name or namespace")


@check("capabilities.unknown-kind", area="capabilities", profile="core", contract=("CAP-3",))
def unknown_kind(judge: StoreJudge) -> None:
    """Capabilities of a kind that is not served is an error.

    If this fails: a store with a misspelled kind looks ready.
    Likely cause: a default for everything.
    Fix: refuse kinds that are not served.
    """
    asker = replace(judge.me, config_kind="ConformanceNoSuchKind")
    judge.capabilities(asker).not_absent(why="the kind is not served")


@check("capabilities.reads", area="capabilities", profile="core", contract=("CAP-2",))
def reads(judge: StoreJudge) -> None:
    """A store that says it can be read serves the reading calls, and a write-only one refuses them.

    If this fails: the status of the store promises what calls then refuse.
    Likely cause: the claim is written by hand and has drifted from the code.
    Fix: derive the claim from what is implemented.
    """
    for request in (judge.get_request(judge.absent()), judge.map_request(judge.absent())):
        answer = judge.client.call(request)
        refused = answer.code is Code.UNIMPLEMENTED
        if refused is not (judge.capability == "WRITE_ONLY"):
            raise Failed(
                f"{answer.method} answers {answer.code.name}, but Capabilities says {judge.capability}"
            )


@check("capabilities.writes", area="capabilities", profile="core", contract=("CAP-2",))
def writes(judge: StoreJudge) -> None:
    """A store that says it can be written serves the writing calls.

    If this fails: a PushSecret is accepted and then fails for ever.
    Likely cause: the claim is written by hand and has drifted from the code.
    Fix: derive the claim from what is implemented.
    """
    if judge.capability == "READ_ONLY":
        raise NotApplicable("unsupported: Capabilities says READ_ONLY")
    key = judge.seeds.key("claimed")
    for request in (
        judge.push_request(key, b"claimed"),
        judge.exists_request(key),
        judge.delete_request(key),
    ):
        answer = judge.client.call(request)
        if answer.code is Code.UNIMPLEMENTED:
            raise Failed(f"{answer.method} is UNIMPLEMENTED, but Capabilities says {judge.capability}")


@check(
    "capabilities.read-only-refuses-writes", area="capabilities", profile="core", contract=("CAP-2", "WIRE-4")
)
def read_only_refuses_writes(judge: StoreJudge) -> None:
    """A store that says it is read-only answers UNIMPLEMENTED to the writing calls.

    If this fails: a store that is shown as read-only can be written, or a push to it seems to succeed.
    Likely cause: the claim is written by hand and has drifted from the code.
    Fix: derive the claim from what is implemented, and refuse the rest.
    """
    if judge.capability != "READ_ONLY":
        raise NotApplicable(f"Capabilities says {judge.capability}")
    key = judge.absent()
    for request in (judge.push_request(key, b"never"), judge.exists_request(key), judge.delete_request(key)):
        judge.client.call(request).refused(Code.UNIMPLEMENTED, why="Capabilities says READ_ONLY")


@check(
    "describe.answers", area="capabilities", role="server", since=(1, 1), contract=("EXT-6", "EXT-7", "VER-1")
)
def describe_answers(judge: ServerJudge) -> None:
    """Describe tells name, version and contract versions, the one spoken among them.

    If this fails: tools cannot tell which provider, in which version, answers at an address.
    Likely cause: the description service is missing or not filled.
    Fix: serve provider.v1.ProviderDescription.
    """
    said = judge.describe()
    if not (said.name and said.version and said.contract_versions):
        raise Failed("name, version or contract_versions is empty")
    spoken = judge.client.call(description_pb2.DescribeRequest()).version
    if spoken is not None and spoken not in said.contract_versions:
        raise Failed(f"the trailing metadata says {spoken}, the description {list(said.contract_versions)}")


def _kind(judge: StoreJudge | GeneratorJudge, api_version: str, kind: str) -> description_pb2.ServedKind:
    answer = judge.client.call(description_pb2.DescribeRequest())
    for served in answer.ok("the description service").kinds:  # type: ignore[attr-defined]
        if (served.api_version, served.kind) == (api_version, kind):
            return served  # type: ignore[no-any-return]
    raise Failed(f"the description does not list {api_version} {kind}, which is served")


@check("describe.store", area="capabilities", since=(1, 1), contract=("EXT-6", "EXT-7", "CAP-2"))
def describe_store(judge: StoreJudge) -> None:
    """The description lists the store's kind, with the capabilities that Capabilities answers.

    If this fails: two places say different things of the same kind.
    Likely cause: one of them is written by hand.
    Fix: make both from the same list.
    """
    served = _kind(judge, judge.store.api_version, judge.store.kind)
    if served.role != description_pb2.KIND_ROLE_STORE:
        raise Failed("its role is not that of a store")
    if served.capabilities != _WORDS.get(judge.capability or ""):
        raise Failed(f"the description says {served.capabilities!r}, Capabilities {judge.capability}")


@check("describe.generator", area="capabilities", role="generator", since=(1, 1), contract=("EXT-6", "EXT-7"))
def describe_generator(judge: GeneratorJudge) -> None:
    """The description lists the generator's kind, as a generator without store capabilities.

    If this fails: a core cannot tell a generator from a store by asking.
    Likely cause: only stores are listed.
    Fix: list every kind that is served.
    """
    served = _kind(judge, judge.generator.api_version, judge.generator.kind)
    if served.role != description_pb2.KIND_ROLE_GENERATOR or served.capabilities:
        raise Failed("its role is not that of a generator, or it has store capabilities")
    if judge.generator.stateful and "Cleanup" not in served.methods:
        raise Failed("it keeps state, but the description does not list Cleanup")
