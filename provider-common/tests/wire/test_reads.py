"""What a read costs, what is shared, and what is never kept."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import grpc
import pytest
from provider_common import DeadlineError, NoSecretError, TemporaryError
from provider_common._reads import ReadWindow
from provider_common.context import call_deadline, start_call
from provider_common.testing import ProviderHarness, StoreHandle


@pytest.fixture
def store(harness: ProviderHarness, acme_spec) -> StoreHandle:
    harness.kube.add_secret("team-a", "token", {"value": b"t0ken"})
    return harness.add_store("team-a", acme_spec())


def test_ten_properties_of_one_secret_cost_one_backend_read(harness, store, acme) -> None:
    """The window is per object, not per property."""
    acme.values["many"] = b"{" + b",".join(b'"p%d":"v%d"' % (i, i) for i in range(10)) + b"}"
    with ThreadPoolExecutor(10) as pool:
        values = list(pool.map(lambda i: harness.get_secret(store, "many", property=f"p{i}"), range(10)))
    assert values == [b"v%d" % i for i in range(10)]
    assert acme.reads("many") == 1


def test_a_map_and_a_property_share_the_read_of_the_whole(harness, store, acme) -> None:
    assert harness.get_secret_map(store, "db") == {"user": b"admin", "port": b"5432"}
    assert harness.get_secret(store, "db", property="user") == b"admin"
    assert acme.reads("db") == 1


def test_a_map_of_a_property_that_is_none_names_the_property(harness, store, acme) -> None:
    """The secret itself may be as good a JSON object as any."""
    with harness.fails() as failure:
        harness.get_secret_map(store, "db", property="user")
    assert failure.message.startswith("db (user) is not valid JSON")


def test_versions_and_metadata_are_objects_of_their_own(harness, store, acme) -> None:
    harness.get_secret(store, "db")
    harness.get_secret(store, "db", version="2")
    harness.get_secret(store, "db", metadata_policy="Fetch")
    assert acme.reads("db") == 3


def test_window_zero_reads_every_time(serve_acme, acme, acme_spec) -> None:
    harness = serve_acme(read_window=0)
    harness.kube.add_secret("team-a", "token", {"value": b"t0ken"})
    store = harness.add_store("team-a", acme_spec())
    for _ in range(5):
        harness.get_secret(store, "db")
    assert acme.reads("db") == 5


@pytest.mark.parametrize("write", ["push", "delete"])
def test_a_write_through_us_is_seen_by_the_next_read(serve_acme, acme, acme_spec, write) -> None:
    """A push or a delete clears the window and the negative entry."""
    harness = serve_acme(read_window=600)
    harness.kube.add_secret("team-a", "token", {"value": b"t0ken"})
    store = harness.add_store("team-a", acme_spec())
    with harness.fails() as failure:
        harness.get_secret(store, "new")
    assert failure.code is grpc.StatusCode.NOT_FOUND
    harness.push(store, "new", {"k": b"1"}, secret_key="k")
    assert harness.get_secret(store, "new") == b"1"
    if write == "delete":
        harness.delete(store, "new")
        with harness.fails() as failure:
            harness.get_secret(store, "new")
        assert failure.code is grpc.StatusCode.NOT_FOUND
    else:
        harness.push(store, "new", {"k": b"2"}, secret_key="k")
        assert harness.get_secret(store, "new") == b"2"


def test_a_permanent_error_is_kept_for_a_moment_and_a_temporary_one_is_not(
    serve_acme, acme, acme_spec, monkeypatch
) -> None:
    monkeypatch.setattr("provider_common._reads._LONGEST_NEGATIVE", 600.0)
    harness = serve_acme(read_window=600)
    harness.kube.add_secret("team-a", "token", {"value": b"t0ken"})
    store = harness.add_store("team-a", acme_spec())
    acme.errors["flaky"] = TemporaryError("Acme is away")
    for key in ("gone", "gone", "flaky", "flaky"):
        with harness.fails():
            harness.get_secret(store, key)
    assert (acme.reads("gone"), acme.reads("flaky")) == (1, 2)


def test_reads_that_arrive_together_share_one_call_and_its_error(harness, store, acme) -> None:
    acme.gated.add("slow")
    acme.errors["slow"] = TemporaryError("Acme is away")
    acme.gate.clear()
    with ThreadPoolExecutor(5) as pool:
        calls = [pool.submit(harness.get_secret, store, "slow") for _ in range(5)]
        acme.waiting.acquire(timeout=10)
        entries = harness.server._stores._open.values()
        while sum(entry.users for entry in entries) < 5:  # every call has got as far as the read
            pass
        acme.gate.set()
        codes = {call.exception().code() for call in calls}
    assert codes == {grpc.StatusCode.UNAVAILABLE}
    assert acme.reads("slow") <= 2


def test_a_follower_outlives_a_leader_that_runs_out_of_time(harness, store, acme) -> None:
    """The leader's deadline says nothing about the follower's."""
    acme.gated.add("db")
    acme.gate.clear()
    with ThreadPoolExecutor(2) as pool:
        leader = pool.submit(harness.get_secret, store, "db", timeout=0.5)
        acme.waiting.acquire(timeout=10)
        follower = pool.submit(harness.get_secret, store, "db", timeout=20)
        assert leader.exception().code() is grpc.StatusCode.DEADLINE_EXCEEDED
        acme.gate.set()
        assert b"admin" in follower.result()


def test_finds_are_shared_while_they_run_and_never_kept(harness, store, acme) -> None:
    assert set(harness.find(store, name="^d")) == {"db"}
    assert harness.find(store, name="nothing") == {}
    harness.find(store, name="^d")
    assert acme.calls.count(("find", "^d")) == 2


def test_nothing_stays_in_memory_past_the_window() -> None:
    now = [0.0]
    window = ReadWindow(1.0, clock=lambda: now[0])
    window.get("a", lambda: b"x" * 100)
    assert window.peek("a") == b"x" * 100
    now[0] = 1.0
    assert window.peek("a") is None
    window.sweep()
    assert (window._reads, window._bytes) == ({}, 0)


def test_a_read_that_a_write_overtook_is_not_kept() -> None:
    """A read that began before the write may have seen the old value."""
    window = ReadWindow(60.0)

    def overtaken() -> bytes:
        window.clear()
        return b"old"

    assert window.get("a", overtaken) == b"old"
    assert window.get("a", lambda: b"new") == b"new"


def test_a_kept_error_does_not_gather_tracebacks() -> None:
    window = ReadWindow(60.0)

    def fail() -> bytes:
        raise NoSecretError("a")

    with pytest.raises(NoSecretError):
        window.get("a", fail)
    depths = []
    for _ in range(3):
        with pytest.raises(NoSecretError) as caught:
            window.peek("a")
        depths.append(len(caught.traceback))
    assert depths[0] == depths[2]


def test_a_cancelled_call_does_not_wait_on_for_anothers_read() -> None:
    """Its thread is free again long before the backend answers."""
    window, answer, there = ReadWindow(0), threading.Event(), threading.Event()
    there.set()

    def join() -> None:
        start_call(30, there.is_set)
        window.get("key", lambda: b"never asked")

    with ThreadPoolExecutor(2) as pool:
        leader = pool.submit(window.get, "key", lambda: answer.wait(30))
        while not window.misses:
            threading.Event().wait(0.01)
        follower = pool.submit(copy_context().run, join)
        there.clear()
        try:
            with pytest.raises(DeadlineError, match="gone"):
                follower.result(10)
        finally:
            answer.set()
        assert leader.result(10)


def test_an_error_is_not_kept_for_as_long_as_a_value() -> None:
    """Who sets a window of minutes does not want to wait minutes for a secret that was just created."""
    now = [0.0]
    window = ReadWindow(600.0, clock=lambda: now[0])

    def fail() -> bytes:
        raise NoSecretError("a")

    with pytest.raises(NoSecretError):
        window.get("a", fail)
    now[0] = 1.0

    assert window.get("a", lambda: b"made") == b"made"
    now[0] = 600.0
    assert window.peek("a") == b"made"


def test_a_read_that_hangs_does_not_close_the_object_for_ever() -> None:
    """After the longest that a call may take, somebody else asks the backend."""
    now = [0.0]
    window = ReadWindow(1.0, clock=lambda: now[0])
    began, go = threading.Event(), threading.Event()

    def hang() -> bytes:
        began.set()
        go.wait(30)
        return b"late"

    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(window.get, "a", hang)
        assert began.wait(10)
        with call_deadline(0.05), pytest.raises(DeadlineError):
            window.get("a", lambda: b"fresh")
        now[0] = 30.0
        assert window.get("a", lambda: b"fresh") == b"fresh"
        go.set()
        assert hanging.result() == b"late"

    assert window.peek("a") == b"fresh"
    assert window._bytes == len(b"fresh")


def test_a_time_out_of_the_leader_is_not_the_followers() -> None:
    """A client library that ran into the leader's short time-out says nothing about the backend."""
    window = ReadWindow(1.0)
    began, go = threading.Event(), threading.Event()

    def time_out() -> bytes:
        began.set()
        go.wait(30)
        raise TemporaryError("no answer in time")

    def lead() -> bytes:
        with call_deadline(0.4):  # hardly any
            return window.get("a", time_out)

    with ThreadPoolExecutor(2) as pool:
        leader = pool.submit(lead)
        assert began.wait(10)
        follower = pool.submit(window.get, "a", lambda: b"value")
        go.set()
        assert follower.result() == b"value"
        with pytest.raises(TemporaryError, match="no answer in time"):
            leader.result()


def test_what_is_kept_is_bounded(monkeypatch) -> None:
    """By number and by bytes; what does not fit is answered and not kept."""
    monkeypatch.setattr("provider_common._reads._MAX_ENTRIES", 10)
    monkeypatch.setattr("provider_common._reads._MAX_BYTES", 100)
    window = ReadWindow(600.0)
    for i in range(50):
        assert window.get(i, lambda: b"x" * 30) == b"x" * 30
    assert (len(window._reads), window._bytes) == (3, 90)
    window.clear()
    for i in range(50):
        window.get(i, lambda: b"")
    assert len(window._reads) <= 11


def test_keys_count_as_what_is_kept(monkeypatch) -> None:
    """A caller who asks for a thousand absent secrets by names of megabytes must not fill the memory with them."""
    monkeypatch.setattr("provider_common._reads._MAX_BYTES", 100)
    window = ReadWindow(600.0)

    def absent() -> bytes:
        raise NoSecretError("k")

    for i in range(50):
        with pytest.raises(NoSecretError):
            window.get(("x" * 20 + str(i), "", "None"), absent)
    assert len(window._reads) <= 4
