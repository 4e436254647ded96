"""The machinery around the checks: excuses, roles, versions, tidying up. The checks themselves are judged by `broken`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from broken.right import Refusal, Right
from broken.served import Served
from broken.target import Certificates, target
from google.protobuf.message import Message
from provider_conformance.judge import StoreJudge
from provider_conformance.registry import Check, find_check
from provider_conformance.run import Suite, reach, run, selected
from provider_conformance.target import StoreTarget, Target, TargetError
from provider_conformance.verdict import Failed, Status


def _check(body: Any, role: Any = "store") -> Check:
    return Check(
        "get.value",
        "read",
        "core",
        role,
        ("GET-1",),
        since=(1, 0),
        slow=False,
        alone=False,
        disturbs=False,
        body=body,
    )


def _statuses(target_: Target, *ids: str) -> dict[str, Status]:
    results, _ = run(target_, [find_check(id_) for id_ in ids])
    return {result.check: result.status for result in results}


def test_what_the_suite_made_is_removed_also_after_a_failure(right_target: Target, served: Served) -> None:
    """A judge that leaves rubbish in a real backend is not asked again."""
    store = replace(right_target.stores[0], seed="push")
    before = set(served.right.backends["team-a", "main"].secrets)

    def body(judge: StoreJudge) -> None:
        judge.seeds.new(b"left lying about")
        judge.push(judge.seeds.key("pushed"), b"by the check itself").ok()
        raise Failed("on purpose")

    with Suite(replace(right_target, stores=(store,)), idle=False) as suite:
        assert suite.run(_check(body))[0].status is Status.FAILED
        assert set(served.right.backends["team-a", "main"].secrets) > before
    assert suite.left_behind == []
    assert set(served.right.backends["team-a", "main"].secrets) == before


def test_what_cannot_be_removed_is_told(
    right_target: Target, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody has to clean it up by hand, so it must be known."""
    store = replace(right_target.stores[0], seed="push")
    suite = Suite(replace(right_target, stores=(store,)), idle=False)
    item = suite.stores[0].seeds.new(b"stuck")
    monkeypatch.setattr(served.right, "delete_secret", lambda request, call: 1 / 0)
    suite.close()
    assert any(item.key in entry for entry in suite.left_behind)


def test_a_check_that_breaks_is_a_failure_and_the_run_goes_on(right_target: Target) -> None:
    """A defect of the suite must not look like a pass, nor hide the other results."""
    with Suite(right_target, idle=False) as suite:
        (result,) = suite.run(_check(lambda judge: 1 / 0))
    assert result.status is Status.FAILED
    assert "ZeroDivisionError" in result.reason


def test_a_known_failure_is_reported_with_its_reason(
    right_target: Target, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It failed, and somebody said why."""
    monkeypatch.setattr(served.right, "decode", lambda value, strategy: value + b"!")
    known = replace(right_target, known_failures={"get.value[memory]": "the backend shouts"})
    results, _ = run(known, [find_check("get.value"), find_check("get.nul")])
    assert [(r.status, "the backend shouts" in r.reason) for r in results] == [
        (Status.KNOWN, True),
        (Status.FAILED, False),
    ]


def test_a_known_failure_that_passes_is_a_failure(right_target: Target) -> None:
    """An excuse that is no longer true hides the next failure."""
    known = replace(right_target, known_failures={"get.value": "the backend shouts"})
    assert _statuses(known, "get.value") == {"get.value": Status.FAILED}


@pytest.mark.parametrize("excuse", ["get.valu", "get.value[memry]"])
def test_a_known_failure_of_what_there_is_not_is_refused(right_target: Target, excuse: str) -> None:
    """A misspelled excuse excuses nothing, and nobody would see it."""
    with pytest.raises(TargetError, match=r"known_failures\.get\.valu"):
        Suite(replace(right_target, known_failures={excuse: "the backend shouts"}), idle=False)


def test_an_address_where_nothing_answers_is_told_once(right_target: Target) -> None:
    """Otherwise each check would fail for the same reason, in words of its own."""
    reach(right_target)
    with pytest.raises(TargetError, match=r"no provider answers at 127\.0\.0\.1:1: "):
        reach(replace(right_target, endpoint="127.0.0.1:1"))


def test_a_dialects_difference_excuses_only_where_the_peer_is_said_to_be_of_it(
    right_target: Target, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same answer is a failure of anybody else."""
    monkeypatch.setattr(served.right, "deny_foreign", lambda namespace, source: None)
    id_ = "namespaces.foreign-object-denied"
    assert _statuses(right_target, id_) == {id_: Status.FAILED}
    assert _statuses(replace(right_target, differences_of="s"), id_) == {id_: Status.DIFFERENCE}


def test_a_promise_of_a_later_contract_is_not_applicable(right_target: Target) -> None:
    """A peer of the baseline is not held to extensions, and is not sent any."""
    assert _statuses(replace(right_target, contract=(1, 0)), "skew.answers-version", "errors.detail") == {
        "skew.answers-version": Status.NOT_APPLICABLE,
        "errors.detail": Status.NOT_APPLICABLE,
    }


def test_a_read_only_store_is_not_asked_to_write(right_target: Target, served: Served) -> None:
    """What runs follows from Capabilities."""

    class ReadOnly(Right):
        CAPABILITIES = 0

        def answer(self, method: str, payload: bytes, context: Any) -> bytes:
            if method in {"PushSecret", "DeleteSecret", "SecretExists"}:
                import grpc

                raise Refusal(grpc.StatusCode.UNIMPLEMENTED, "UNSUPPORTED", "read-only")
            return super().answer(method, payload, context)

    served.right = ReadOnly()
    store = replace(right_target.stores[0], seed="none")
    statuses = _statuses(
        replace(right_target, stores=(store,)),
        "write.round-trip",
        "capabilities.read-only-refuses-writes",
        "get.value",
    )
    assert statuses == {
        "write.round-trip": Status.NOT_APPLICABLE,
        "capabilities.read-only-refuses-writes": Status.PASSED,
        "get.value": Status.PASSED,
    }


def test_without_write_access_everything_that_reading_allows_still_runs(right_target: Target) -> None:
    """An operator may only have "these keys exist"."""
    store = replace(right_target.stores[0], seed="none")
    checks = [
        check
        for check in selected(slow=False)
        if check.area in {"read", "map", "find", "errors", "concurrency"}
    ]
    results, left = run(
        replace(right_target, stores=(store,)), [check for check in checks if not check.alone]
    )
    passed = {result.check for result in results if result.status is Status.PASSED}
    assert {
        "get.value",
        "get.missing-key",
        "get.version",
        "find.nothing",
        "find.existing",
        "errors.denied",
    } <= passed
    assert [result for result in results if result.status is Status.FAILED] == []
    assert left == []


def _limited(store: StoreTarget, **limits: Any) -> StoreTarget:
    return replace(store, limits=replace(store.limits, **limits))


@pytest.mark.parametrize(
    ("limits", "id_"),
    [
        ({"values": "text"}, "get.every-byte"),
        ({"empty_value": False}, "write.empty-value"),
        ({"max_value_bytes": 1000}, "get.one-mib"),
        ({"max_value_bytes": 1000}, "write.large"),
        ({"key_pattern": "[-a-z0-9]+"}, "get.slash-key"),
        ({"max_key_bytes": 100}, "get.long-key"),
        ({"push_property": False}, "write.property"),
        ({"push_whole": False}, "write.whole-secret"),
        ({"find": ()}, "find.by-name"),
        ({"delete": False}, "delete.removes"),
    ],
    ids=lambda value: value if isinstance(value, str) else "+".join(value),
)
def test_outside_a_declared_limit_a_check_is_not_applicable(
    right_target: Target, limits: Any, id_: str
) -> None:
    """Never a pass: it was not tried."""
    limited = replace(right_target, stores=(_limited(right_target.stores[0], **limits),))
    (result,) = run(limited, [find_check(id_)])[0]
    assert result.status is Status.NOT_APPLICABLE
    assert "backend limit" in result.reason


@pytest.mark.parametrize(
    ("seed", "id_"),
    [
        *(("hook", id_) for id_ in ("get.one-mib", "get.every-byte", "get.slash-key", "get.empty-value")),
        *(("push", id_) for id_ in ("get.one-mib", "get.every-byte", "get.slash-key", "write.large")),
    ],
)
def test_a_limit_that_shows_and_is_not_declared_is_a_failure(
    right_target: Target, served: Served, monkeypatch: pytest.MonkeyPatch, id_: str, seed: str
) -> None:
    """Otherwise nobody would declare any."""
    import grpc

    def refuses(key: str, value: bytes) -> bool:
        return len(value) in {0, 256} or len(value) > 1000 or "/" in key

    def store(backend: Any, key: str, path: str, value: bytes) -> None:
        if refuses(key, value):
            raise Refusal(grpc.StatusCode.FAILED_PRECONDITION, "PERMANENT", "the backend does not take this")
        Right.store(served.right, backend, key, path, value)

    named = right_target.stores[0]
    if seed == "push":
        monkeypatch.setattr(served.right, "store", store)
        named = replace(named, seed="push")
    else:
        put = named.seed.put  # type: ignore[union-attr]

        def refusing(store: str, key: str, value: bytes, tags: Any) -> None:
            if refuses(key, value):
                raise ValueError("the backend does not take this")
            put(store, key, value, tags)

        monkeypatch.setattr(named.seed, "put", refusing)
    (result,) = run(replace(right_target, stores=(named,)), [find_check(id_)])[0]
    assert result.status is Status.FAILED
    assert "limit" in result.reason
    assert "declare" in result.reason


def test_a_provider_that_knows_of_no_defect_is_not_judged_by_one(right_target: Target) -> None:
    """A key that shows a defect can't be asked for: whoever had one would mend it."""
    store = right_target.stores[0]
    spotless = replace(store, faults=replace(store.faults, bug=""))
    (result,) = run(replace(right_target, stores=(spotless,)), [find_check("errors.defect")])[0]
    assert (result.status, "faults.bug" in result.reason) == (Status.NOT_APPLICABLE, True)


def test_fuzzing_is_repeatable_by_its_seed(
    right_target: Target, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failure that can't be repeated can't be fixed."""
    seen: list[bytes] = []
    answer = served.right.answer

    def noting(method: str, payload: bytes, context: Any) -> bytes:
        seen.append(payload)
        return answer(method, payload, context)

    monkeypatch.setattr(served.right, "answer", noting)
    rounds = []
    for seed in (7, 7, 8):
        seen.clear()
        run(right_target, [find_check("hostile.fuzzed")], seed=seed)
        rounds.append([payload for payload in seen if payload])
    assert rounds[0] == rounds[1]
    assert rounds[0] != rounds[2]


def test_a_failed_fuzz_prints_its_seed(
    right_target: Target, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that --seed repeats it."""
    monkeypatch.setattr(served.right, "refuse_empty_source", lambda: 1 / 0)
    (result,) = run(right_target, [find_check("hostile.fuzzed")], seed=4711)[0]
    assert result.status is Status.FAILED
    assert "seed 4711" in result.reason


def test_every_value_that_the_suite_made_is_watched_for(right_target: Target) -> None:
    """A leak in any encoding counts."""
    import base64

    with Suite(right_target, idle=False) as suite:
        canary = suite.session.canary
        for form in (
            canary,
            canary.encode().hex(),
            base64.b64encode(b"xy" + canary.encode() + b"z").decode(),
            canary[::-1],
        ):
            assert suite.session.leaks(f"before {form} after")
        assert not suite.session.leaks("nothing of it")


def test_answers_can_be_asked_for_their_details(right_target: Target) -> None:
    """What the checks on errors stand on."""
    with Suite(right_target, idle=False) as suite:
        answer: Any = suite.stores[0].get("fault/rate")
        assert (answer.error.code, answer.error.retryable, answer.retry_delay) == ("RATE_LIMITED", True, 2.5)
        assert answer.version == "1.1"
        with pytest.raises(Failed, match="RESOURCE_EXHAUSTED"):
            answer.ok()
        message: Message = suite.stores[0].capabilities().ok()
        assert message.DESCRIPTOR.name == "CapabilitiesResponse"


def test_each_certificate_target_is_usable_by_name(certificates: Certificates, served: Served) -> None:
    """The fixture's own promise: one CA for all providers of a run."""
    assert target(served, certificates).tls is not None
