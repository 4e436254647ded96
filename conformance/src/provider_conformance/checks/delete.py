"""Deleting: gone is gone, absent is fine, and neighbours stay."""

from __future__ import annotations

import re

from provider_conformance import seed
from provider_conformance.client import Code
from provider_conformance.judge import StoreJudge, fault
from provider_conformance.registry import check
from provider_conformance.seed import Item
from provider_conformance.verdict import Failed, NotApplicable


def _deletes(judge: StoreJudge) -> None:
    if not judge.limits.delete:
        raise NotApplicable("backend limit: delete false")


@check("delete.removes", area="delete", profile="core", role="writable", contract=("DEL-1",))
def removes(judge: StoreJudge) -> None:
    """A deleted secret is absent for reads and finds.

    If this fails: secrets that should be gone can still be read.
    Likely cause: the answer is not waited for, or a cache still has it.
    Fix: delete in the backend, then drop what is remembered.
    """
    _deletes(judge)
    item = judge.seeds.new(b"to be deleted", name="goes")
    judge.read(item)
    judge.delete(item.key).ok()
    judge.get(item.key, property=item.property).refused(Code.NOT_FOUND, why="it was deleted")
    if "name" in judge.limits.find and judge.find(f"^{re.escape(item.key)}$").ok().secrets:
        raise Failed("a deleted secret is still found")


@check("delete.missing", area="delete", profile="core", role="writable", contract=("DEL-2",))
def missing(judge: StoreJudge) -> None:
    """Deleting what is not there succeeds.

    If this fails: a PushSecret whose remote secret is already gone can never be removed.
    Likely cause: the backend's not-found is passed on.
    Fix: absence is what was asked for: answer OK.
    """
    judge.delete(judge.absent()).ok("there is nothing to delete")


@check("delete.leaves-neighbours", area="delete", profile="core", role="writable", contract=("DEL-4",))
def leaves_neighbours(judge: StoreJudge) -> None:
    """Secrets whose names begin alike are left alone.

    If this fails: deleting one secret deletes others.
    Likely cause: a delete by prefix, or of a whole folder.
    Fix: delete by the exact name.
    """
    _deletes(judge)
    item = judge.seeds.new(b"to be deleted", name="stem")
    near = [judge.seeds.under(f"{item.key}{suffix}", b"stays") for suffix in ("-2", "x")]
    judge.delete(item.key).ok()
    for other in near:
        judge.same(other, judge.read(other))


@check("delete.property", area="delete", role="writable", contract=("DEL-3",))
def property_(judge: StoreJudge) -> None:
    """Deleting a property leaves the other members, and deleting the last one removes the secret.

    If this fails: removing one of two pushed values removes both, or leaves an empty shell behind.
    Likely cause: the property is ignored, or the secret is never removed.
    Fix: remove the member; remove the secret with its last member.
    """
    _deletes(judge)
    if not judge.limits.push_property:
        raise NotApplicable("backend limit: push_property false")
    key = judge.seeds.key("parts")
    judge.push(key, b"one", property="first").ok()
    judge.push(key, b"two", property="second").ok()
    judge.delete(key, property="first").ok()
    if seed.json_object(judge.get(key).ok("one member is left").value) != {"second": "two"}:
        raise Failed("deleting one property left other members than the second")
    judge.delete(key, property="second").ok()
    judge.get(key).refused(Code.NOT_FOUND, why="its last member was deleted")


@check("delete.missing-property", area="delete", role="writable", contract=("DEL-3",))
def missing_property(judge: StoreJudge) -> None:
    """Deleting a property that is not there succeeds and changes nothing.

    If this fails: a PushSecret cannot be removed, or takes a secret with it that it never wrote.
    Likely cause: the missing member is an error, or the whole secret is deleted instead.
    Fix: answer OK and leave the secret as it is.
    """
    _deletes(judge)
    if not judge.limits.push_property:
        raise NotApplicable("backend limit: push_property false")
    item = judge.seeds.new(judge.seeds.value(seed.RECORD), name="whole")
    judge.delete(item.key, property="no_such_member").ok("the member is not there")
    judge.same(item, judge.read(item))


@check("delete.unmanaged-left", area="delete", role="writable", contract=("DEL-5",))
def unmanaged_left(judge: StoreJudge) -> None:
    """A remote secret that is not the provider's own is left alone, and the delete succeeds.

    If this fails: removing a PushSecret destroys a secret that somebody made by hand, or hangs in its finalizer.
    Likely cause: the ownership mark is not looked at before the delete.
    Fix: read the mark first; without it, answer OK and do nothing.
    """
    key = fault(judge.store.faults, "unmanaged")
    before = judge.get(key).ok("it exists").value
    judge.delete(key).ok("what is not ours is none of our business")
    if judge.get(key).ok("it may not be touched").value != before:
        raise Failed("the secret changed")


@check("delete.then-write", area="delete", role="writable", contract=("DEL-1", "PUSH-2"))
def then_write(judge: StoreJudge) -> None:
    """A deleted key can be written again.

    If this fails: a name that was used once is lost.
    Likely cause: the backend keeps a deleted secret for a while, and the provider does not restore or replace it.
    Fix: restore or replace it, or answer a permanent error that says how long the name is taken.
    """
    _deletes(judge)
    item = judge.seeds.new(b"the first life", name="again")
    judge.delete(item.key).ok()
    judge.push(item.key, b"the second life", property=item.property).ok("the key was deleted before")
    again = Item(item.key, b"the second life", item.property)
    judge.same(again, judge.read(again))
