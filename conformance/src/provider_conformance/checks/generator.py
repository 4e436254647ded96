"""Generators: new values at every call, a state that means something, and a cleanup that can be repeated."""

from __future__ import annotations

import json
import re
from dataclasses import replace

from provider_proto.generator.v1 import generator_pb2 as gen

from provider_conformance.client import Code
from provider_conformance.judge import ABSENT_OBJECT, OTHER_NAMESPACE, GeneratorJudge, together
from provider_conformance.registry import check
from provider_conformance.target import Obj
from provider_conformance.verdict import Failed, NotApplicable

_NAME = re.compile(r"[-._a-zA-Z0-9]{1,253}")


def _absent(judge: GeneratorJudge) -> Obj:
    return Obj(ABSENT_OBJECT, judge.generator.namespace)


def _fresh(judge: GeneratorJudge) -> None:
    if judge.generator.fixed:
        raise NotApplicable("declared: the generator gives fixed values")


def _stateful(judge: GeneratorJudge) -> None:
    if not judge.generator.stateful:
        raise NotApplicable("declared: the generator keeps no state")


@check("generate.values", area="generator", profile="core", role="generator", contract=("GEN-1",))
def values(judge: GeneratorJudge) -> None:
    """Generate answers at least one value, and it is not empty.

    If this fails: the Secret is created without anything in it.
    Likely cause: the map is not filled, or filled under an empty name.
    Fix: answer what was generated.
    """
    secrets = judge.generate().ok().secrets
    if not secrets or not any(secrets.values()):
        raise Failed(f"the answer has the names {sorted(secrets)} and no value that is not empty")


@check("generate.fresh", area="generator", profile="core", role="generator", contract=("GEN-2",))
def fresh(judge: GeneratorJudge) -> None:
    """Every call makes new values.

    If this fails: a rotation yields the old password, or two users get the same one.
    Likely cause: the answer is cached, or the random source is seeded.
    Fix: generate at every call, from the operating system's random source.
    """
    _fresh(judge)
    seen = [dict(judge.generate().ok().secrets) for _ in range(4)]
    for n, one in enumerate(seen):
        if one in seen[:n]:
            raise Failed("two calls gave the same values")


@check("generate.names", area="generator", role="generator", contract=("GEN-3",))
def names(judge: GeneratorJudge) -> None:
    """The names can be keys of a Secret.

    If this fails: the core refuses the whole answer.
    Likely cause: names taken from free text.
    Fix: letters, digits, `-`, `.`, `_`, at most 253.
    """
    for name in judge.generate().ok().secrets:
        if not _NAME.fullmatch(name):
            raise Failed(f"{name!r} cannot be a key of a Secret")


@check("generate.state", area="generator", profile="core", role="generator", contract=("GEN-4",))
def state(judge: GeneratorJudge) -> None:
    """The state is empty or a JSON document, and holds no generated value.

    If this fails: the state cannot be stored, so nothing is ever cleaned up; or a password stands in a plain object.
    Likely cause: another serialisation, or the answer itself is kept as state.
    Fix: a small JSON document with what Cleanup needs to find the thing.
    """
    said = judge.generate().ok()
    if judge.generator.stateful and not said.state:
        raise Failed("declared to keep state, but the state is empty")
    if not said.state:
        return
    try:
        json.loads(said.state)
    except ValueError:
        raise Failed("the state is not JSON") from None
    for name, value in said.secrets.items():
        if len(value) >= 8 and value in said.state:
            raise Failed(f"the state holds the generated value {name!r}")


@check("generate.concurrent", area="generator", role="generator", contract=("GEN-6", "CON-1"))
def concurrent(judge: GeneratorJudge) -> None:
    """Calls at the same time get values of their own.

    If this fails: two Secrets share a password under load, and nobody can see it.
    Likely cause: calls are merged, or a shared random state is used without a lock.
    Fix: never merge generator calls; use the operating system's random source.
    """
    _fresh(judge)
    answers = together([judge.generate] * 16, width=16)
    seen = [tuple(sorted(answer.ok("one of 16 at once").secrets.items())) for answer in answers]
    if len(set(seen)) != len(seen):
        raise Failed(f"16 calls at once gave {len(set(seen))} different answers")


@check(
    "generate.missing-object", area="generator", profile="core", role="generator", contract=("GEN-7", "ERR-8")
)
def missing_object(judge: GeneratorJudge) -> None:
    """A config object that does not exist is FAILED_PRECONDITION.

    If this fails: a misspelled reference generates with defaults, or looks like an absent secret.
    Likely cause: a missing object becomes an empty one, or its 404 is passed on.
    Fix: answer FAILED_PRECONDITION, naming kind, name and namespace.
    """
    if judge.generator.object_optional:
        raise NotApplicable("declared: the kind needs no config object")
    judge.generate(_absent(judge)).refused(Code.FAILED_PRECONDITION, why="there is no such config object")


@check("generate.unknown-kind", area="generator", profile="core", role="generator", contract=("CAP-3",))
def unknown_kind(judge: GeneratorJudge) -> None:
    """A kind that is not served is an error, and not NOT_FOUND.

    If this fails: a misspelled kind looks like something else.
    Likely cause: a default for everything.
    Fix: refuse kinds that are not served.
    """
    judge.generate(kind="ConformanceNoSuchKind").not_absent(why="the kind is not served")


@check("generate.no-reference", area="generator", profile="core", role="generator", contract=("ERR-7",))
def no_reference(judge: GeneratorJudge) -> None:
    """A request without a reference is INVALID_ARGUMENT.

    If this fails: a defect of the caller looks like one of the provider.
    Likely cause: the unset message is used as if it were there.
    Fix: look for the reference first.
    """
    for request in (
        gen.GenerateRequest(source_namespace=judge.generator.namespace),
        gen.CleanupRequest(source_namespace=judge.generator.namespace),
    ):
        judge.client.call(request).refused(Code.INVALID_ARGUMENT, why="there is no reference")


@check("generate.empty-source", area="generator", profile="core", role="generator", contract=("NS-2",))
def empty_source(judge: GeneratorJudge) -> None:
    """An empty source namespace is INVALID_ARGUMENT.

    If this fails: credentials are read from a namespace that nobody named.
    Likely cause: an empty namespace means "all" or "default" somewhere.
    Fix: refuse it before anything is read.
    """
    judge.generate(source="").refused(Code.INVALID_ARGUMENT, why="source_namespace is empty")


@check(
    "generate.foreign-denied", area="generator", profile="core", role="generator", contract=("NS-9", "NS-5")
)
def foreign_denied(judge: GeneratorJudge) -> None:
    """A config object in another namespace is denied.

    If this fails: one team uses another team's generator, and with it its credentials.
    Likely cause: the reference's namespace is followed without a look at the caller's.
    Fix: refuse it before anything is read, naming both namespaces.
    """
    answer = judge.generate(source=OTHER_NAMESPACE)
    answer.refused(Code.PERMISSION_DENIED, why="the config object is in another namespace")


@check(
    "generate.cluster-generator", area="generator", role="generator", since=(1, 1), contract=("NS-9", "EXT-2")
)
def cluster_generator(judge: GeneratorJudge) -> None:
    """A ClusterGenerator, seen in the full generator, may use a config object of another namespace.

    If this fails: ClusterGenerators do not work.
    Likely cause: the full generator is ignored.
    Fix: allow it when, and only when, the full generator's kind is ClusterGenerator.
    """
    if judge.target.dialect != "v2":
        raise NotApplicable(f"dialect {judge.target.dialect} sends no full generator")
    obj = judge.object("foreign")
    judge.generate(obj, cluster=True).ok("a ClusterGenerator with a config object elsewhere")
    judge.generate(obj).refused(Code.PERMISSION_DENIED, why="a Generator with a config object elsewhere")


@check("generate.foreign-selector-denied", area="generator", role="generator", contract=("NS-9", "NS-5"))
def foreign_selector_denied(judge: GeneratorJudge) -> None:
    """A selector that names another namespace is denied.

    If this fails: a generator reads other teams' credentials.
    Likely cause: the selector's namespace is followed.
    Fix: refuse it before anything is read.
    """
    answer = judge.generate(judge.object("foreign_selector"))
    answer.refused(Code.PERMISSION_DENIED, why="a selector names another namespace")


@check("generate.invalid-settings", area="generator", role="generator", contract=("GEN-5",))
def invalid_settings(judge: GeneratorJudge) -> None:
    """Settings that cannot work are INVALID_ARGUMENT, and nothing is generated.

    If this fails: a weaker value than asked for is generated, or a call that never ends.
    Likely cause: settings are corrected silently.
    Fix: refuse them, naming the field and the reason.
    """
    answer = judge.generate(judge.object("invalid"))
    answer.refused(Code.INVALID_ARGUMENT, why="its settings can't work")


@check(
    "cleanup.after-generate", area="generator", profile="core", role="generator", contract=("CLN-1", "CLN-2")
)
def after_generate(judge: GeneratorJudge) -> None:
    """Cleanup with the state of a Generate call succeeds, and again the second time.

    If this fails: a deleted ExternalSecret hangs in its finalizer, and what was generated stays behind.
    Likely cause: what is gone already is an error.
    Fix: absence is what was asked for: answer OK.
    """
    said = judge.generate().ok()
    judge.cleanup(said.state).ok("the first cleanup")
    judge.cleanup(said.state).ok("the second cleanup: nothing is left")


@check("cleanup.empty-state", area="generator", role="generator", contract=("CLN-2",))
def empty_state(judge: GeneratorJudge) -> None:
    """Cleanup without a state succeeds.

    If this fails: what was generated before states were kept can never be removed.
    Likely cause: the state is parsed without a look at its presence.
    Fix: an empty state means: nothing to do.
    """
    judge.cleanup(b"").ok("nothing was left")


@check("cleanup.foreign-state", area="generator", role="generator", contract=("CLN-3", "WIRE-6"))
def foreign_state(judge: GeneratorJudge) -> None:
    """A state that is not from this generator is INVALID_ARGUMENT, or ignored where there is none.

    If this fails: a damaged state looks like a defect, or removes something else.
    Likely cause: the state is trusted.
    Fix: check its form first.
    """
    for foreign in (b"not json", b"[]", b'{"conformance": "no such field"}', b"\xff\xfe"):
        answer = judge.cleanup(foreign)
        if answer.code is Code.OK and not judge.generator.stateful:
            continue
        answer.refused(Code.INVALID_ARGUMENT, why=f"{foreign!r} is not a state of this generator")


@check("cleanup.not-generated-again", area="generator", role="generator", contract=("CLN-1", "GEN-2"))
def not_generated_again(judge: GeneratorJudge) -> None:
    """What was cleaned up does not come back: the next value is another one, with another state.

    If this fails: a value that was revoked is handed out again.
    Likely cause: a cache that Cleanup does not know of.
    Fix: never cache generated values.
    """
    _stateful(judge)
    _fresh(judge)
    first = judge.generate().ok()
    judge.cleanup(first.state).ok()
    second = judge.generate().ok()
    if second.state == first.state or second.secrets == first.secrets:
        raise Failed("the value or state of before the cleanup is answered again")


@check("cleanup.missing-object", area="generator", role="generator", contract=("GEN-7", "CLN-2"))
def missing_object_cleanup(judge: GeneratorJudge) -> None:
    """Cleanup whose config object is gone succeeds or is FAILED_PRECONDITION, and is never NOT_FOUND.

    If this fails: the core cannot tell whether there is something left.
    Likely cause: the 404 of the object is passed on.
    Fix: answer FAILED_PRECONDITION if the object is needed to clean up, OK if not.
    """
    answer = judge.cleanup(b"", _absent(judge))
    if answer.code is not Code.OK:
        answer.refused(Code.FAILED_PRECONDITION, why="there is no such config object")


@check("generate.own-namespace", area="generator", role="generator", contract=("NS-3", "NS-9"))
def own_namespace(judge: GeneratorJudge) -> None:
    """A reference without a namespace means the source namespace.

    If this fails: references as users write them do not work.
    Likely cause: an empty namespace is looked up as it is.
    Fix: fall back to source_namespace.
    """
    mine = Obj(judge.generator.object, judge.generator.namespace)
    judge.generate(replace(mine, namespace="")).ok("an empty namespace means the caller's")
