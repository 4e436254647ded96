"""Concurrency, tenants and idempotence: the same answers as one after the other, and nobody else's."""

from __future__ import annotations

import threading
from functools import partial
from typing import Self

from provider_conformance import seed
from provider_conformance.client import Code
from provider_conformance.judge import Asker, StoreJudge, together
from provider_conformance.registry import check
from provider_conformance.seed import Item
from provider_conformance.verdict import Failed, NotApplicable, NotRun

WIDTH = 16


def _inside(judge: StoreJudge) -> str:
    return "value" if judge.limits.values == "object" else ""


def _second(judge: StoreJudge) -> Asker:
    return judge.by(judge.object("second"))


class _Two:
    """One key in two stores with two values; removed from both on leaving."""

    def __init__(self, judge: StoreJudge) -> None:
        if not judge.writable:
            raise NotApplicable(
                "unsupported: Capabilities says READ_ONLY, and two stores have to be told apart"
            )
        self.judge = judge
        self.key = judge.seeds.key("tenant")
        self.inside = _inside(judge)
        self.askers = (judge.me, _second(judge))
        self.values = (b"of the first tenant", b"of the second tenant, which is another")

    def __enter__(self) -> Self:
        for asker, value in zip(self.askers, self.values, strict=True):
            self.judge.push(self.key, value, property=self.inside, asker=asker).ok("to seed both stores")
        return self

    def __exit__(self, *_: object) -> None:
        self.judge.delete(self.key, asker=self.askers[1])

    def reads(self, which: int) -> None:
        """Fails unless the store answers its own value."""
        asker, value = self.askers[which], self.values[which]
        got = self.judge.get(self.key, property=self.inside, asker=asker).ok("this store has the key").value
        if got == self.values[1 - which]:
            raise Failed("a store answered the other store's value")
        self.judge.same(Item(self.key, value, self.inside), got)


@check("tenants.same-key", area="concurrency", profile="core", contract=("NS-10",))
def same_key(judge: StoreJudge) -> None:
    """The same key in two stores has two values.

    If this fails: one team reads another team's secret.
    Likely cause: a cache whose key lacks the store.
    Fix: the key of every cache holds all that the answer depends on.
    """
    with _Two(judge) as two:
        for which in (0, 1, 0, 1):
            two.reads(which)


@check("tenants.concurrent", area="concurrency", profile="core", contract=("NS-10", "CON-1"))
def concurrent_tenants(judge: StoreJudge) -> None:
    """Two stores that are read at the same time do not mix.

    If this fails: under load one team reads another team's secret, now and then.
    Likely cause: state of a call that is kept in a shared object.
    Fix: pass what belongs to a call along with the call.
    """
    with _Two(judge) as two:
        together([partial(two.reads, n % 2) for n in range(WIDTH * 12)], width=WIDTH)


@check("tenants.write-stays", area="concurrency", contract=("NS-10",))
def write_stays(judge: StoreJudge) -> None:
    """What one store writes, the other does not have.

    If this fails: two stores share one place, and overwrite each other.
    Likely cause: the backend's location is taken from the first store that was opened.
    Fix: open one client per store.
    """
    if not judge.writable:
        raise NotApplicable("unsupported: Capabilities says READ_ONLY")
    item = judge.seeds.new(b"of the first store only", name="stays")
    answer = judge.get(item.key, property=item.property, asker=_second(judge))
    answer.refused(Code.NOT_FOUND, why="only the other store has it")


@check("tenants.delete-stays", area="concurrency", contract=("NS-10", "DEL-4"))
def delete_stays(judge: StoreJudge) -> None:
    """What one store deletes, the other keeps.

    If this fails: one team deletes another team's secrets.
    Likely cause: the backend's location is taken from the first store that was opened.
    Fix: open one client per store.
    """
    if not judge.limits.delete:
        raise NotApplicable("backend limit: delete false")
    with _Two(judge) as two:
        judge.delete(two.key, asker=two.askers[1]).ok()
        two.reads(0)


@check("concurrency.parallel-reads", area="concurrency", profile="core", contract=("CON-1",))
def parallel_reads(judge: StoreJudge) -> None:
    """Many reads of several keys at the same time get their own values.

    If this fails: values are swapped under load.
    Likely cause: calls are merged by something that is not the whole key.
    Fix: merge calls by store, key, version and everything else that the answer depends on.
    """
    samples = [seed.TEXT, seed.RECORD]
    if judge.store.seed != "none":
        # A store of maps holds texts by name: whether it keeps a document's numbers is judged where documents are.
        samples += [seed.BASE64, seed.LIST if judge.limits.values == "object" else seed.DOCUMENT]
    items = [judge.item(sample) for sample in samples]

    def read(item: Item) -> None:
        judge.same(item, judge.read(item), where="GetSecret, in parallel,")

    together([partial(read, items[n % len(items)]) for n in range(WIDTH * 12)], width=WIDTH)


@check("concurrency.parallel-absent", area="concurrency", contract=("CON-1", "GET-2"))
def parallel_absent(judge: StoreJudge) -> None:
    """Present and absent keys that are read at the same time do not mix.

    If this fails: under load a secret that is there is reported as absent, which deletes Secrets.
    Likely cause: an error is shared between calls that were merged.
    Fix: an error belongs to the calls that asked for that key.
    """
    item, absent = judge.item(seed.TEXT), judge.absent()

    def read(n: int) -> None:
        if n % 2:
            judge.get(absent, property=item.property).refused(Code.NOT_FOUND, why="it is absent")
        else:
            judge.same(item, judge.read(item), where="GetSecret, in parallel,")

    together([partial(read, n) for n in range(WIDTH * 8)], width=WIDTH)


@check("concurrency.parallel-writes", area="concurrency", role="writable", contract=("CON-1", "PUSH-1"))
def parallel_writes(judge: StoreJudge) -> None:
    """Pushes of several keys at the same time all arrive.

    If this fails: pushes are lost under load.
    Likely cause: read, change and write of something that all keys share.
    Fix: write each key on its own, or with a lock.
    """
    keys = [judge.seeds.key(f"parallel-{n}") for n in range(WIDTH * 2)]
    inside = _inside(judge)

    def push(key: str) -> None:
        judge.push(key, f"of {key}".encode(), property=inside).ok("one of many pushes")

    together([partial(push, key) for key in keys], width=WIDTH)
    for key in keys:
        got = judge.get(key, property=inside).ok("it was pushed").value
        judge.same(Item(key, f"of {key}".encode(), inside), got)


@check("concurrency.parallel-properties", area="concurrency", role="writable", contract=("CON-1", "PUSH-5"))
def parallel_properties(judge: StoreJudge) -> None:
    """Pushes of several properties of one secret at the same time all arrive, or are refused as conflicts.

    If this fails: of two PushSecrets that share a remote secret, one is lost, and both look synced.
    Likely cause: read, change and write without a lock or a version.
    Fix: a lock per remote secret, or the backend's check-and-set.
    """
    if not judge.limits.push_property:
        raise NotApplicable("backend limit: push_property false")
    key = judge.seeds.key("shared")

    def push(n: int) -> bool:
        answer = judge.push(key, f"value {n}".encode(), property=f"member{n}")
        if answer.code not in {Code.OK, Code.FAILED_PRECONDITION, Code.UNAVAILABLE}:
            raise Failed(f"one of many pushes of a property answered {answer.said()}")
        return answer.code is Code.OK

    arrived = together([partial(push, n) for n in range(8)], width=8)
    got = seed.json_object(judge.get(key).ok("properties were pushed").value) or {}
    lost = [n for n, ok in enumerate(arrived) if ok and got.get(f"member{n}") != f"value {n}"]
    if lost:
        raise Failed(f"{len(lost)} of {sum(arrived)} pushes that answered OK are not there")


@check("concurrency.read-while-writing", area="concurrency", role="writable", contract=("CON-2",))
def read_while_writing(judge: StoreJudge) -> None:
    """A read during a write sees the old value or the new one.

    If this fails: for a moment the secret is absent or half written, and the core acts on it.
    Likely cause: delete and create in place of an update.
    Fix: replace the value in one step.
    """
    inside = _inside(judge)
    old, new = b"old " * 4000, b"new " * 5000
    item = judge.seeds.new(old, name="changing")
    done = threading.Event()

    def write() -> None:
        try:
            for n in range(12):
                judge.push(item.key, new if n % 2 else old, property=inside).ok("the value is changed")
        finally:
            done.set()

    def read() -> None:
        while not done.is_set():
            got = judge.get(item.key, property=inside).ok("it is there all the time").value
            if got not in {old, new}:
                raise Failed(f"a read during a write answered {len(got)} bytes that nobody wrote")

    together([write, read, read, read], width=4)


@check("idempotence.get", area="idempotence", profile="core", contract=("CON-1", "GET-1"))
def get_again(judge: StoreJudge) -> None:
    """The same read gives the same answer again and again.

    If this fails: Secrets change without reason, and everything that mounts them restarts.
    Likely cause: one of several backends or versions answers by chance.
    Fix: read the current version, from one place.
    """
    item = judge.item(seed.RECORD)
    for _ in range(8):
        judge.same(item, judge.read(item))


@check("idempotence.find", area="idempotence", contract=("FIND-1", "CON-1"))
def find_again(judge: StoreJudge) -> None:
    """The same find gives the same answer again and again.

    If this fails: Secrets change without reason.
    Likely cause: pages or names that come in no fixed order, and get lost at their edges.
    Fix: collect all pages before the answer is made.
    """
    item = judge.item(seed.RECORD)
    if "name" not in judge.limits.find:
        raise NotApplicable(f"backend limit: find {list(judge.limits.find)}")
    answers = [dict(judge.find(f"{item.key[:-1]}.$").ok().secrets) for _ in range(4)]
    if any(answer != answers[0] for answer in answers):
        raise Failed("the same find gave different answers")


@check("idempotence.push", area="idempotence", profile="core", role="writable", contract=("PUSH-8",))
def push_again(judge: StoreJudge) -> None:
    """The same push succeeds again and again.

    If this fails: a PushSecret works once and then fails at every refresh.
    Likely cause: create where create-or-update is meant.
    Fix: compare with what is there, and write only if it differs.
    """
    key, inside = judge.seeds.key("same"), _inside(judge)
    for _ in range(3):
        judge.push(key, b"always the same", property=inside).ok("the same push again")
    got = judge.get(key, property=inside).ok().value
    judge.same(Item(key, b"always the same", inside), got)


@check("idempotence.delete", area="idempotence", profile="core", role="writable", contract=("DEL-2",))
def delete_again(judge: StoreJudge) -> None:
    """The same delete succeeds again and again.

    If this fails: a PushSecret hangs in its finalizer after a core's restart.
    Likely cause: what is gone already is an error.
    Fix: absence is what was asked for: answer OK.
    """
    item = judge.seeds.new(b"to be deleted twice", name="twice")
    for _ in range(3):
        judge.delete(item.key).ok("the same delete again")


@check("idempotence.unchanged-by-reading", area="idempotence", contract=("GET-1", "VAL-5"))
def unchanged_by_reading(judge: StoreJudge) -> None:
    """Reading, finding, asking for existence and validating change nothing.

    If this fails: looking at a secret alters it, or makes a new version of it.
    Likely cause: a read that writes something back.
    Fix: reading calls make reading backend calls only.
    """
    item = judge.item(seed.RECORD)
    if not item.ours and judge.limits.values == "object":
        raise NotRun("not seeded: an existing map cannot be compared byte for byte")
    before = judge.read(item)
    judge.map(item.key)
    judge.validate()
    if judge.writable:
        judge.exists(item.key)
    if judge.read(item) != before:
        raise Failed("the value changed although it was only read")
