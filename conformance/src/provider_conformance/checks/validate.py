"""Validation: a usable config object is valid, an unusable one is not, and asking changes nothing."""

from __future__ import annotations

from dataclasses import replace

from provider_proto.provider.v1 import secretstore_pb2 as pb

from provider_conformance.client import Answer, Code
from provider_conformance.judge import ABSENT_OBJECT, OTHER_NAMESPACE, Asker, StoreJudge
from provider_conformance.registry import check
from provider_conformance.verdict import Failed


def _valid(judge: StoreJudge, asker: Asker | None = None) -> None:
    said = judge.validate(asker).ok("the config object is usable")
    if not said.valid or said.error:
        raise Failed(f"valid={said.valid}, error={said.error!r}")


def _not_valid(answer: Answer[pb.ValidateResponse], why: str) -> None:
    """Fails unless the answer is a status error other than NOT_FOUND, or `valid=false` with a text."""
    if answer.code is not Code.OK:
        answer.not_absent(why=why)
        return
    said = answer.ok()
    if said.valid:
        raise Failed(f"valid=true, but {why}")
    if not said.error:
        raise Failed("valid=false without a text: the user sees a generic message")


@check("validate.ready", area="validate", profile="core", contract=("VAL-1",))
def ready(judge: StoreJudge) -> None:
    """A usable config object is valid.

    If this fails: the store never becomes ready, and no ExternalSecret of it syncs.
    Likely cause: the check asks for a permission that reading does not need.
    Fix: check what reading needs, no more.
    """
    _valid(judge)


@check("validate.no-source", area="validate", profile="core", contract=("VAL-4", "NS-2"))
def no_source(judge: StoreJudge) -> None:
    """Validate works with an empty source namespace when the reference names one.

    If this fails: no cluster-scoped store becomes ready: the core sends this for each of them.
    Likely cause: the rule for data calls is applied to Validate.
    Fix: accept an empty source namespace in Validate and Capabilities.
    """
    _valid(judge, judge.cluster(source=""))


@check("validate.missing-object", area="validate", profile="core", contract=("VAL-2", "ERR-8"))
def missing_object(judge: StoreJudge) -> None:
    """A config object that does not exist is not valid, and not NOT_FOUND.

    If this fails: a store with a misspelled reference looks ready.
    Likely cause: validation does not load the object.
    Fix: answer FAILED_PRECONDITION, naming kind, name and namespace.
    """
    _not_valid(judge.validate(replace(judge.me, object=ABSENT_OBJECT)), "there is no such config object")


@check("validate.bad-credentials", area="validate", contract=("VAL-2", "ERR-9"))
def bad_credentials(judge: StoreJudge) -> None:
    """A config object whose credentials the backend refuses is not valid.

    If this fails: the user learns of wrong credentials only when the first ExternalSecret fails.
    Likely cause: validation looks at the object only, and does not log in.
    Fix: make one cheap authenticated call.
    """
    _not_valid(
        judge.validate(judge.by(judge.object("bad_credentials"))), "the backend refuses its credentials"
    )


@check("validate.invalid-settings", area="validate", contract=("VAL-2",))
def invalid_settings(judge: StoreJudge) -> None:
    """A config object whose settings cannot work is not valid.

    If this fails: a store that can't work looks ready.
    Likely cause: settings are checked when they are used first.
    Fix: check the settings when the object is loaded.
    """
    _not_valid(judge.validate(judge.by(judge.object("invalid"))), "its settings can't work")


# In contract 1.0 nothing says that the credentials are the caller's: that takes the whole store.
@check("validate.referent", area="validate", since=(1, 1), contract=("VAL-3", "VAL-4", "NS-8"))
def referent(judge: StoreJudge) -> None:
    """A cluster-scoped store whose credentials depend on the caller is valid while no caller is known.

    If this fails: such a store never becomes ready, although it works.
    Likely cause: missing credentials are an error also when nobody can know them yet.
    Fix: answer valid=true when the check depends on a namespace that is not known.
    """
    obj = judge.object("referent")
    asker = judge.cluster(obj, source="", scope="ManifestNamespace")
    if judge.target.dialect == "p":
        asker = replace(asker, kind="ClusterProvider")
    said = judge.validate(asker).ok("inconclusive, as no caller is known")
    if judge.target.dialect != "s" and not said.valid:
        raise Failed(f"valid=false for credentials that depend on the caller: {said.error!r}")


@check("validate.foreign-denied", area="validate", contract=("NS-5", "NS-6"))
def foreign_denied(judge: StoreJudge) -> None:
    """A namespaced store with a config object in another namespace is denied, not validated.

    If this fails: a store looks ready that must never be used, or another team's settings are probed through it.
    Likely cause: the namespace rule is applied to data calls only.
    Fix: apply it before the object is loaded, on every call.
    """
    asker = replace(judge.me, source=OTHER_NAMESPACE)
    judge.validate(asker).refused(Code.PERMISSION_DENIED, why="the config object is in another namespace")


@check("validate.repeatable", area="validate", contract=("VAL-5",))
def repeatable(judge: StoreJudge) -> None:
    """Validate gives the same answer again and again.

    If this fails: the store's condition flips, with an event each time.
    Likely cause: something is left over from the call before.
    Fix: make the check free of side effects.
    """
    for _ in range(5):
        _valid(judge)
