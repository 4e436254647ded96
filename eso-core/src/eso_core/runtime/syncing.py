"""One pass: reconcile every ExternalSecret of a folder, and carry out what was decided.

The order of writing is what makes an interruption harmless: states of generators first (else nobody could clean up), then
the Secret, then the status (else a Secret that was not written would count as synced).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from provider_common.errors import InvalidSpecError

from eso_core.api.externalsecret import ExternalSecret
from eso_core.api.generatorstate import GeneratorState
from eso_core.reconcile.calls import Calls
from eso_core.reconcile.due import CREATED_BY_LABEL, owner_hash
from eso_core.reconcile.externalsecret import Outcome, Reconciler, Trigger
from eso_core.reconcile.routing import Settings
from eso_core.reconcile.states import clean_up, owner_keys, removable
from eso_core.runtime.folder import Loaded
from eso_core.runtime.output import Output
from eso_core.runtime.report import Report, Row, StoreRow
from eso_core.runtime.world import FolderWorld, StoreHealth

_log = logging.getLogger(__name__)

WORKERS = 8
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 420.0
Key = tuple[str, str]
Progress = Callable[[int, int], None]
"""Is told how many ExternalSecrets are done, and of how many."""


@dataclass(slots=True)
class _Schedule:
    """When an ExternalSecret is to be looked at again, how often in a row it failed, and what was told last."""

    at: datetime | None = None
    failures: int = 0
    row: Row | None = None


def _waves(groups: Mapping[Key, list[ExternalSecret]]) -> list[list[list[ExternalSecret]]]:
    """The groups, those last whose templates read a Secret that another one makes: a single pass has to be enough."""
    first: list[list[ExternalSecret]] = []
    last: list[list[ExternalSecret]] = []
    for target, group in groups.items():
        read = {
            (item.meta.namespace, source.secret.name)
            for item in group
            if item.spec.target.template is not None
            for source in item.spec.target.template.template_from
            if source.secret is not None
        }
        (last if (read - {target}) & groups.keys() else first).append(group)
    return [first, last]


def _pause(failures: int) -> float:
    """Seconds to wait after so many failures in a row and one more."""
    return min(_FIRST_PAUSE * (1 << min(failures, 16)), _LONGEST_PAUSE)


@dataclass(slots=True)
class Syncer:
    """Makes passes over a folder, and remembers between them when the next one is needed."""

    output: Output
    calls: Calls
    settings: Settings = field(default_factory=Settings)
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    abort: Callable[[], None] = lambda: None
    """Ends calls under way: an interrupted pass must not wait for a provider that hangs."""
    _health: StoreHealth = field(init=False)
    _schedule: dict[Key, _Schedule] = field(init=False, default_factory=dict)
    _lock: threading.Lock = field(init=False, default_factory=threading.Lock)
    _clean_up_at: datetime | None = field(init=False, default=None)
    _clean_up_failures: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._health = StoreHealth(self.calls, self.settings)

    def next_at(self) -> datetime | None:
        """When the next pass is needed, if nothing changes before; None when never."""
        times = [item.at for item in self._schedule.values()] + [self._clean_up_at]
        return min((time for time in times if time is not None), default=None)

    def run(
        self,
        loaded: Loaded,
        trigger: Trigger = Trigger.SCHEDULE,
        progress: Progress | None = None,
        *,
        patient: bool = False,
    ) -> Report:
        """Reconcile everything in `loaded`. Raises only what is a defect, and OSError when the output can't be used at all.

        With `patient`, what failed is left alone until its pause is over. Without, it is tried again: somebody may have
        changed what it failed for.
        """
        self._health.next_pass()
        world = FolderWorld(loaded, self.output, self._health)
        notes = list(loaded.notes)
        problems = [*loaded.problems, *self.output.lost_states()]
        if loaded.whole:
            notes += self._collect(loaded)
            problems += self._clean_up(loaded, world)
        elif loaded.empty and not problems and next(self.output.all_secrets(), None) is not None:
            notes.append(f"the folder has no manifests at all: what is in {self.output.folder} is kept")
        rows = self._reconcile(loaded.external_secrets, world, trigger, progress, patient=patient)
        rows += [
            Row(item.namespace, item.name, "SecretSyncedError", False, item.message) for item in loaded.broken
        ]
        rows.sort(key=lambda row: (row.namespace, row.name))
        self._plan_clean_up()
        stores = [
            StoreRow(*key, readiness) for key, readiness in self._health.known() if key in loaded.stores
        ]
        return Report(rows, stores, problems, notes, self.output.secrets)

    def _reconcile(
        self,
        external_secrets: Sequence[ExternalSecret],
        world: FolderWorld,
        trigger: Trigger,
        progress: Progress | None,
        *,
        patient: bool,
    ) -> list[Row]:
        living = {(item.meta.namespace, item.meta.name) for item in external_secrets}
        self._schedule = {key: item for key, item in self._schedule.items() if key in living}
        # Those that share a target go one after the other: each has to see what the other wrote.
        groups: dict[Key, list[ExternalSecret]] = {}
        for item in external_secrets:
            groups.setdefault((item.meta.namespace, item.target_name), []).append(item)
        done = 0

        def work(group: list[ExternalSecret]) -> list[Row]:
            nonlocal done
            rows = []
            for item in group:
                rows.append((patient and self._pausing(item)) or self._one(item, world, trigger))
                with self._lock:
                    done += 1
                    if progress is not None:
                        progress(done, len(external_secrets))
            return rows

        if not groups:
            return []
        pool = ThreadPoolExecutor(min(WORKERS, len(groups)), thread_name_prefix="reconcile")
        try:
            return [row for wave in _waves(groups) for rows in pool.map(work, wave) for row in rows]
        except BaseException:
            self.abort()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _one(self, external_secret: ExternalSecret, world: FolderWorld, trigger: Trigger) -> Row:
        meta = external_secret.meta
        now = self.clock()
        status = self.output.status(meta.namespace, meta.name)
        outcome = Reconciler(world, self.calls, self.settings).reconcile(
            external_secret, status, now, trigger=trigger, inputs=world.inputs(external_secret)
        )
        row = self._carried_out(external_secret, outcome, now)
        self._plan(external_secret, outcome if row.ready == outcome.ready else None, now, row)
        _log.debug("%s: %s: %s", external_secret.where, row.reason, row.message)
        return row

    def _carried_out(self, external_secret: ExternalSecret, outcome: Outcome, now: datetime) -> Row:
        meta, name = external_secret.meta, external_secret.target_name
        path = None
        unused = outcome.states
        try:
            for state in (*outcome.states, *outcome.retired):
                self.output.write_state(state)
            if outcome.secret is not None:
                path = self.output.write_secret(outcome.secret)
                # From here on, what was made is in use.
                unused = ()
            if outcome.delete:
                self.output.delete_secret(meta.namespace, name)
            if outcome.ready is not None:
                self.output.write_status(external_secret, outcome.status, now)
        except OSError as error:
            problems = self._undo(unused)
            message = f"{error.filename or self.output.folder} can't be written: {error.strerror}{problems}"
            return Row(meta.namespace, meta.name, "SecretSyncedError", False, message)
        if path is None and outcome.ready and not outcome.delete:
            written = self.output.secrets / meta.namespace / f"{name}.yaml"
            path = written if written.is_file() else None
        events = tuple(f"{event.type} {event.reason}: {event.message}" for event in outcome.events)
        return Row(
            meta.namespace,
            meta.name,
            outcome.reason,
            outcome.ready,
            outcome.message,
            outcome.keys,
            path,
            events,
        )

    def _undo(self, states: Sequence[GeneratorState]) -> str:
        """Remove what was made for a Secret that could not be written. What stays is told, and tried again later."""
        left = []
        for state in states:
            result = clean_up(state, self.calls, self.settings)
            # Where nothing can be written, the text is all that is left.
            with suppress(OSError):
                if not result.problem:
                    self.output.delete_state(state)
                else:
                    left.append(result.problem)
                    self.output.write_state(replace(state, deadline=self.clock()))
        return "".join(f"; {text}" for text in left)

    def _pausing(self, external_secret: ExternalSecret) -> Row | None:
        """What was told last of an ExternalSecret that failed and whose pause is not over; None of any other."""
        with self._lock:
            item = self._schedule.get((external_secret.meta.namespace, external_secret.meta.name))
        if item is None or not item.failures or (item.at is not None and item.at <= self.clock()):
            return None
        return item.row

    def _plan(
        self, external_secret: ExternalSecret, outcome: Outcome | None, now: datetime, row: Row
    ) -> None:
        """Note when to look again: when it is due, or after a pause that doubles with each failure."""
        key = (external_secret.meta.namespace, external_secret.meta.name)
        with self._lock:
            item = self._schedule.setdefault(key, _Schedule())
            item.row = row
            if outcome is not None and outcome.ready is not False:
                item.failures = 0
                after = outcome.requeue_after
            else:
                pause = _pause(item.failures)
                item.failures += 1
                after = max(pause, outcome.requeue_after or 0.0) if outcome is not None else pause
                if outcome is not None and not outcome.retry:
                    after = (
                        max(external_secret.refresh_seconds, pause)
                        if external_secret.refresh_seconds > 0
                        else None
                    )
            item.at = None if after is None else now + timedelta(seconds=after)

    def _collect(self, loaded: Loaded) -> list[str]:
        """Remove Secrets whose ExternalSecret is gone or has another target now, as Kubernetes does by owner references."""
        owned = {
            (item.meta.namespace, item.target_name, owner_hash(item.meta.namespace, item.meta.name))
            for item in loaded.external_secrets
        }
        notes = []
        for secret in self.output.all_secrets():
            mark = secret.meta.labels.get(CREATED_BY_LABEL)
            if mark and (secret.meta.namespace, secret.meta.name, mark) not in owned:
                self.output.delete_secret(secret.meta.namespace, secret.meta.name)
                notes.append(
                    f"Secret {secret.meta.namespace}/{secret.meta.name} removed: its ExternalSecret is gone"
                )
        self.output.forget_statuses(
            {(item.meta.namespace, item.meta.name) for item in loaded.external_secrets}
        )
        return notes

    def _clean_up(self, loaded: Loaded, world: FolderWorld) -> list[str]:
        """Remove what generators made for values that are no longer used. Returns what could not be removed, and why."""
        living = {key for item in loaded.external_secrets for key in owner_keys(item)}
        problems = []
        for state in removable(world.all_states(), living, self.clock()):
            try:
                result = clean_up(state, self.calls, self.settings)
            except InvalidSpecError as error:
                problems.append(error.message)
                continue
            if result.problem:
                problems.append(
                    f"{result.problem} (it is tried again later; when nothing is left to remove in the backend, delete "
                    f"{self.output.state_path(state)})"
                )
            else:
                self.output.delete_state(state)
        self._clean_up_failures = self._clean_up_failures + 1 if problems else 0
        return problems

    def _plan_clean_up(self) -> None:
        """Note when the next state is to be removed; what could not be is tried again after a pause that doubles."""
        now = self.clock()
        deadlines = [state.deadline for state in self.output.states() if state.deadline is not None]
        times = [deadline for deadline in deadlines if deadline > now]
        if self._clean_up_failures or len(times) < len(deadlines):
            times.append(now + timedelta(seconds=_pause(self._clean_up_failures)))
        self._clean_up_at = min(times, default=None)
