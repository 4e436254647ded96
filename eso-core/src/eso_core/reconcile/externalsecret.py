"""One ExternalSecret, from what is there to what is to be done. Calls to providers are made; nothing is written."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field, replace
from datetime import datetime

from provider_common.errors import InvalidSpecError

from eso_core.api.externalsecret import ExternalSecret
from eso_core.api.generatorstate import GeneratorState
from eso_core.api.secrets import Secret
from eso_core.reconcile.calls import Calls
from eso_core.reconcile.due import CREATED_BY_LABEL, is_due, is_valid, next_sync, owner_hash, version_of
from eso_core.reconcile.errors import SyncError
from eso_core.reconcile.gather import Gathered, Gatherer, stores_of
from eso_core.reconcile.routing import Settings, is_ours
from eso_core.reconcile.states import owner_key, retired, roll_back, to_store
from eso_core.reconcile.target import build
from eso_core.reconcile.world import Managed, SyncStatus, World

FAILED_PHRASE = "could not get secret data from provider"
"""The condition's message for every failure: the details are in the event, so that conditions don't flicker."""


class Trigger(enum.Enum):
    """Why reconciling was asked for."""

    SCHEDULE = "schedule"
    """Something changed, or time has come: only what is due is synced."""
    READ = "read"
    """A user asked: whatever is only read is read anew, unless its policy says "once". Generated values stay until due."""
    EVERYTHING = "everything"
    """A user insists: everything is due, generators included."""


@dataclass(frozen=True, slots=True)
class Event:
    """What happened, for whoever looks at the ExternalSecret."""

    type: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it, and what the runtime has to do: store `states`, replace `retired`, then write or delete the Secret,
    then keep `status`.
    """

    reason: str
    ready: bool | None
    """None when the ExternalSecret is not ours."""
    message: str
    """For the user: what was done, or which field failed and why."""
    status: SyncStatus
    secret: Secret | None = None
    """To be written."""
    delete: bool = False
    keys: int = 0
    events: tuple[Event, ...] = ()
    states: tuple[GeneratorState, ...] = ()
    retired: tuple[GeneratorState, ...] = ()
    asked: bool = False
    """Whether any provider was asked."""
    requeue_after: float | None = None
    """Seconds until the next look; None when only a change, or the back-off after a failure, leads to one."""
    retry: bool = True
    """False when only a change can help."""


@dataclass(frozen=True, slots=True)
class Reconciler:
    """Reconciles ExternalSecrets in one world."""

    world: World
    calls: Calls
    settings: Settings = field(default_factory=Settings)

    def reconcile(
        self,
        external_secret: ExternalSecret,
        status: SyncStatus,
        now: datetime,
        *,
        trigger: Trigger = Trigger.SCHEDULE,
        inputs: str = "",
    ) -> Outcome:
        """Decide and call. Raises nothing that a user, a provider or a defect can cause.

        `inputs` is a hash over the objects the ExternalSecret depends on, where the runtime has one: a change of it makes a
        periodic sync due at once.
        """
        if any(not is_ours(store, self.settings) for store in stores_of(external_secret, self.world)):
            message = "a store of another controller class is used"
            return Outcome("NotManaged", None, message, status)
        gathered = Gathered()
        try:
            return self._reconcile(external_secret, status, now, gathered, trigger=trigger, inputs=inputs)
        except (SyncError, InvalidSpecError) as error:
            left = roll_back(external_secret, gathered.states, self.calls, now)
            return self._failed(error, status, left)
        except Exception as error:  # noqa: BLE001 - a defect must not cost anybody what a generator made
            # Neither text nor traceback: both may hold what was being handled.
            text = f"internal error ({type(error).__name__}): please report it, with the manifest"
            left = roll_back(external_secret, gathered.states, self.calls, now)
            return self._failed(SyncError(text), status, left)
        except BaseException:
            roll_back(external_secret, gathered.states, self.calls, now)
            raise

    def _reconcile(
        self,
        external_secret: ExternalSecret,
        status: SyncStatus,
        now: datetime,
        gathered: Gathered,
        *,
        trigger: Trigger,
        inputs: str,
    ) -> Outcome:
        existing = self.world.secret(external_secret.meta.namespace, external_secret.target_name)
        due = _wanted(external_secret, status, now, trigger, inputs)
        if not due and is_valid(external_secret, existing):
            return self._unchanged(external_secret, status, existing, now)
        if external_secret.spec.target.creation_policy == "Merge" and existing is None:
            message = "creationPolicy is Merge and there is no such Secret yet"
            after = next_sync(external_secret, now, now)
            kept = replace(status, reason="SecretMissing", ready=True, message=message)
            return Outcome("SecretMissing", True, message, kept, requeue_after=after)
        Gatherer(external_secret, self.world, self.calls, self.settings).gather(gathered)
        outcome = self._applied(external_secret, status, existing, gathered)
        states = to_store(external_secret, gathered.states, now)
        older = [
            state
            for made in gathered.states
            for state in retired(
                self.world.generator_states(
                    external_secret.meta.namespace, owner_key(external_secret, made.key)
                ),
                now,
            )
        ]
        synced = replace(
            outcome.status,
            refresh_time=now,
            synced_version=version_of(external_secret),
            reason=outcome.reason,
            ready=True,
            message=outcome.message,
            inputs=inputs,
        )
        missing = tuple(Event("Normal", "MissingProviderSecret", text) for text in gathered.missing)
        return replace(
            outcome,
            status=synced,
            events=missing + outcome.events,
            states=states,
            retired=tuple(older),
            asked=True,
            requeue_after=next_sync(external_secret, now, now),
        )

    def _unchanged(
        self, external_secret: ExternalSecret, status: SyncStatus, existing: Secret | None, now: datetime
    ) -> Outcome:
        refreshed = status.refresh_time or now
        after = next_sync(external_secret, refreshed, now)
        keys = len(existing.data) if existing is not None else 0
        message = "up to date" if after is None else f"up to date, next sync in {_spoken(after)}"
        if not status.ready:
            # What failed was more than the policy asks for: the Secret is still as the last sync left it.
            status = replace(status, reason="SecretSynced", ready=True, message="secret synced")
        return Outcome(status.reason, True, message, status, keys=keys, requeue_after=after)

    def _applied(
        self, external_secret: ExternalSecret, status: SyncStatus, existing: Secret | None, gathered: Gathered
    ) -> Outcome:
        target = external_secret.spec.target
        if not gathered.data and target.deletion_policy == "Delete":
            return self._deleted(external_secret, status, existing)
        if not gathered.data and target.deletion_policy == "Retain":
            keys = len(existing.data) if existing is not None else 0
            message = "nothing was found; the Secret is retained (deletionPolicy Retain)"
            return Outcome("SecretSynced", True, message, status, keys=keys)
        if target.creation_policy == "None":
            message = "fetched; creationPolicy None writes no Secret"
            return Outcome("SecretSynced", True, message, status, keys=len(gathered.data))
        name = external_secret.target_name
        written = build(external_secret, gathered.data, existing, status.managed_in(name), self.world)
        changed = existing != written.secret
        reason = "Created" if existing is None else "Updated"
        events = (Event("Normal", reason, f"secret {reason.lower()}"),) if changed else ()
        return Outcome(
            "SecretSynced",
            True,
            "secret synced" if changed else "secret synced, nothing changed",
            replace(status, target=name, managed=written.managed),
            secret=written.secret if changed else None,
            keys=len(written.secret.data),
            events=events,
        )

    def _deleted(
        self, external_secret: ExternalSecret, status: SyncStatus, existing: Secret | None
    ) -> Outcome:
        target = external_secret.spec.target
        meta = external_secret.meta
        if target.creation_policy != "Owner":
            raise SyncError(
                f"spec.target: deletionPolicy Delete needs creationPolicy Owner, not {target.creation_policy}",
                retry=False,
            )
        message = "the backend no longer has it; the Secret is deleted (deletionPolicy Delete)"
        if existing is None:
            message = "the backend does not have it, and there is no Secret (deletionPolicy Delete)"
            return Outcome("SecretDeleted", True, message, replace(status, managed=Managed()))
        owner = existing.owner
        owned = owner is not None and (owner.kind, owner.name) == ("ExternalSecret", meta.name)
        if not owned and existing.meta.labels.get(CREATED_BY_LABEL) != owner_hash(meta.namespace, meta.name):
            raise SyncError(
                f"spec.target: Secret {meta.namespace}/{existing.meta.name} is to be deleted by deletionPolicy Delete, but "
                "was not made by this ExternalSecret: delete it yourself, or use another target.name",
                retry=False,
            )
        event = Event("Normal", "Deleted", "secret deleted due to DeletionPolicy=Delete")
        return Outcome(
            "SecretDeleted", True, message, replace(status, managed=Managed()), delete=True, events=(event,)
        )

    def _failed(
        self, error: SyncError | InvalidSpecError, status: SyncStatus, left: tuple[GeneratorState, ...]
    ) -> Outcome:
        text = str(error)
        wait = error.retry_after
        retry = error.retry if isinstance(error, SyncError) else False
        return Outcome(
            "SecretSyncedError",
            False,
            text,
            replace(status, reason="SecretSyncedError", ready=False, message=FAILED_PHRASE),
            events=(Event("Warning", "UpdateFailed", text),),
            states=left,
            asked=True,
            requeue_after=wait,
            retry=retry,
        )


def _wanted(
    external_secret: ExternalSecret, status: SyncStatus, now: datetime, trigger: Trigger, inputs: str
) -> bool:
    if trigger is Trigger.EVERYTHING or is_due(external_secret, status, now):
        return True
    spec = external_secret.spec
    if spec.refresh_policy not in {"", "Periodic"} or external_secret.refresh_seconds <= 0:
        return False
    generates = any(
        entry.source_ref is not None and entry.source_ref.generator_ref is not None
        for entry in spec.data_from
    )
    failed = bool(status.reason) and not status.ready
    return failed or (trigger is Trigger.READ and not generates) or inputs != status.inputs


def _spoken(seconds: float) -> str:
    """A span of time, roughly."""
    if seconds < 60:
        return f"{seconds:.0f}s"
    return f"{seconds / 60:.0f}m" if seconds < 3600 else f"{seconds / 3600:.1f}h".replace(".0h", "h")
