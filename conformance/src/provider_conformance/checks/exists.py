"""Existence: an answer about this name now, and never an error."""

from __future__ import annotations

from provider_conformance import seed
from provider_conformance.judge import StoreJudge
from provider_conformance.registry import check
from provider_conformance.seed import Item
from provider_conformance.verdict import Failed, NotApplicable


def _is_there(judge: StoreJudge, item: Item) -> bool:
    return judge.exists(item.key, property=item.property if judge.limits.exists_property else "").ok().exists


@check("exists.yes", area="exists", profile="core", role="writable", contract=("EX-1",))
def yes(judge: StoreJudge) -> None:
    """A secret that is there exists.

    If this fails: updatePolicy IfNotExists overwrites what it was meant to spare.
    Likely cause: another name is looked up than is read.
    Fix: look for the same name that GetSecret reads.
    """
    if not _is_there(judge, judge.item(seed.TEXT)):
        raise Failed("SecretExists answers false for a secret that is there")


@check("exists.no", area="exists", profile="core", role="writable", contract=("EX-1",))
def no(judge: StoreJudge) -> None:
    """A secret that is not there does not exist, and that is no error.

    If this fails: updatePolicy IfNotExists never writes.
    Likely cause: the backend's not-found is passed on, or the answer is true for everything.
    Fix: translate the backend's not-found to false.
    """
    if judge.exists(judge.absent()).ok("absence is an answer").exists:
        raise Failed("SecretExists answers true for a secret that is not there")


@check("exists.not-alike", area="exists", role="writable", contract=("EX-1", "GET-3"))
def not_alike(judge: StoreJudge) -> None:
    """A secret whose name only begins alike does not count.

    If this fails: updatePolicy IfNotExists does not write, because a neighbour exists.
    Likely cause: a search with a prefix.
    Fix: look for the exact name.
    """
    item = judge.item(seed.TEXT)
    for key in (item.key[:-1], f"{item.key}x"):
        if judge.exists(key).ok().exists:
            raise Failed(f"SecretExists answers true for {key!r}, but only {item.key!r} is there")


@check("exists.follows-writes", area="exists", role="writable", contract=("EX-3",))
def follows_writes(judge: StoreJudge) -> None:
    """The answer follows pushes and deletes at once.

    If this fails: updatePolicy IfNotExists decides on yesterday's state.
    Likely cause: the answer comes from a cache.
    Fix: ask the backend every time.
    """
    key = judge.seeds.key("follows")
    if judge.exists(key).ok().exists:
        raise Failed("SecretExists answers true before the push")
    judge.seeds.under(key, b"there now")
    if not judge.exists(key).ok().exists:
        raise Failed("SecretExists answers false after the push")
    if not judge.limits.delete:
        return
    judge.delete(key).ok()
    if judge.exists(key).ok().exists:
        raise Failed("SecretExists answers true after the delete")


@check("exists.property", area="exists", role="writable", contract=("EX-2",))
def property_(judge: StoreJudge) -> None:
    """Where parts are secrets of their own, existence is about the part.

    If this fails: the second property of a secret is never pushed under updatePolicy IfNotExists.
    Likely cause: only the name is looked at.
    Fix: look at the part; if the backend has no parts, leave limits.exists_property false.
    """
    if not judge.limits.exists_property:
        raise NotApplicable("backend limit: exists_property false")
    item = judge.document(seed.RECORD)
    if not judge.exists(item.key, property="user").ok().exists:
        raise Failed("SecretExists answers false for a property that is there")
    if judge.exists(item.key, property="no_such_member").ok().exists:
        raise Failed("SecretExists answers true for a property that is not there")
