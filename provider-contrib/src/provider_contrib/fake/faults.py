"""Which fault of `spec.faults` a call gets. Counting decides, never chance, so that a test can say what it expects."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from provider_common import Context
from provider_common.faults import Fault

from provider_contrib.fake.spec import FaultRule

Rules = tuple[FaultRule, ...]


class FaultCounts:
    """How many calls each rule of one object has seen. Begins anew when the rules change."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: Rules = ()
        self._seen: list[int] = []
        self._done: list[int] = []

    def fault(self, rules: Rules, applies: Callable[[Any], bool]) -> Fault | None:
        """The fault of the first of `rules` that applies and whose turn it is, or None."""
        with self._lock:
            if rules != self._rules:
                self._rules, self._seen, self._done = rules, [0] * len(rules), [0] * len(rules)
            for index, rule in enumerate(rules):
                if applies(rule) and self._takes_turn(index, rule):
                    return _fault(rule)
        return None

    def _takes_turn(self, index: int, rule: FaultRule) -> bool:
        before = self._seen[index]
        self._seen[index] += 1
        # One more whole fault has come together: 0.25 is the calls number 4, 8, 12 ...
        if int((before + 1) * rule.rate + _SLACK) == int(before * rule.rate + _SLACK):
            return False
        if rule.times is not None and self._done[index] >= rule.times:
            return False
        self._done[index] += 1
        return True


_SLACK = 1e-9  # a hundred times 0.29 is a whole number


def fault_counts(ctx: Context[Any]) -> FaultCounts:
    """The counts of the object that `ctx` is about: one for all its stores, as long as the provider runs."""
    key = ("fake faults", ctx.api_version, ctx.kind, ctx.namespace, ctx.name)
    return ctx.shared(key, FaultCounts, keep=True)


def _fault(rule: FaultRule) -> Fault:
    wait = rule.retry_after_milliseconds
    return Fault(
        latency=(rule.latency_milliseconds or 0) / 1000,
        hang=rule.hang,
        status=rule.status or "",
        message=rule.message or "",
        retry_after=None if wait is None else wait / 1000,
        contract_version=rule.contract_version or "",
        answer_bytes=rule.answer_bytes or 0,
    )
