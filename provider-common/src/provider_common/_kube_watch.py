"""Follows the objects of one type: one list, then a watch that heals itself.

Not the client's own informer: that one can't take the answers for custom resources, and connects again without a pause.
What was seen last stays readable while the API server is away.
"""

from __future__ import annotations

import json
import logging
import random
import threading
import time
from dataclasses import dataclass
from typing import Any

from provider_common._kube_api import ApiServer, RefusedError, UnreachableError
from provider_common._kube_stream import Stream
from provider_common.kube import KubeObject, ServedType

_log = logging.getLogger(__name__)

_A_WHILE = 5.0  # seconds; what lasted that long is no failure to back off from

Name = tuple[str, str]
"""Namespace and name."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How often and how long. All in seconds, but `page`, which counts objects."""

    page: int = 500
    lifetime: int = 300
    """A watch ends after about this long, so that watches spread over the API servers again."""
    silence: float = 90.0
    """A watch that brings nothing for this long is taken for dead: there are bookmarks every minute."""
    first_pause: float = 0.2
    longest_pause: float = 10.0
    absent_pause: float = 60.0
    """The longest pause for an optional type that is not installed."""
    grace: float = 30.0
    """For how long a type that has gone still counts as there: an API server that starts says so for a moment."""


class _ExpiredError(Exception):
    """The version to go on from is too old."""


class Follower:
    """The objects of one type as last seen. `get` never asks the API server."""

    def __init__(self, api: ApiServer, served: ServedType, *, pace: Pace) -> None:
        self.served = served
        self.title = f"{served.api_version}/{served.kind}"
        self._api = api
        self._pace = pace
        self._objects: dict[Name, KubeObject] = {}
        self._version = ""
        self._changed = threading.Condition()
        self._listed = False
        self._problem = ""
        self._gone_since: float | None = None
        self._alive: float | None = None
        self._failures = 0
        self._wake = threading.Event()
        self._stopped = False
        self._stream: Stream | None = None
        self._thread = threading.Thread(target=self._run, name=f"watch {served.kind}", daemon=True)

    @property
    def listed(self) -> bool:
        """True when the objects are known, be they fresh or not."""
        return self._listed

    @property
    def problem(self) -> str:
        """Why the objects are not known, or are not fresh; empty when all is well."""
        return self._problem

    @property
    def quiet(self) -> bool:
        """True when the problem is only that an optional type is not installed."""
        return self.served.optional and self._gone_since is not None

    @property
    def age(self) -> float | None:
        """Seconds since the last sign of life; None when there was none."""
        return None if self._alive is None else time.monotonic() - self._alive

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def get(self, name: Name) -> KubeObject | None:
        """The object as last seen."""
        return self._objects.get(name)

    def wait(self, seconds: float) -> None:
        """Until the first list is done, or has failed, or `seconds` are over."""
        with self._changed:
            self._changed.wait_for(lambda: self._listed or self._problem, timeout=seconds)

    def hurry(self) -> None:
        """Somebody is waiting: end the present pause."""
        self._wake.set()

    def stop(self) -> None:
        """End the thread soon, without waiting for it."""
        with self._changed:
            self._stopped = True
            stream = self._stream
        self._wake.set()
        if stream is not None:
            stream.interrupt()

    def join(self, seconds: float) -> None:
        """Wait for the thread."""
        if self._thread.is_alive():
            self._thread.join(timeout=max(seconds, 0.0))

    def _run(self) -> None:
        while not self._stopped:
            began = time.monotonic()
            try:
                if not self._version:
                    self._list()
                self._watch()
            except _ExpiredError:
                self._version = ""
            except RefusedError as error:
                self._version = ""
                self._refused(error)
            except UnreachableError as error:
                self._report(f"the API server can't be asked for {self.served.plural}: {error}")
            except Exception as error:  # noqa: BLE001 - whatever an answer holds, this thread must not end
                self._version = ""
                self._report(
                    f"an answer to the question for {self.served.plural} is not what an API server says"
                    f" ({type(error).__name__}); is there a proxy between?"
                )
            if time.monotonic() - began > _A_WHILE:
                self._failures = 0
            # Also after a watch that just ended: one that is ended at once, every time, must not become a flood.
            self._pause(began)

    def _list(self) -> None:
        found: dict[Name, KubeObject] = {}
        token = ""
        while True:
            page = self._api.list(self.served, limit=self._pace.page, token=token)
            for item in page.get("items") or ():
                made = self._made(item)
                found[made.namespace, made.name] = made
            metadata = page.get("metadata") or {}
            token = metadata.get("continue") or ""
            if not token:
                break
        with self._changed:
            self._objects = found
            self._listed = True
            self._changed.notify_all()
        self._version = str(metadata.get("resourceVersion", ""))
        self._well()

    def _watch(self) -> None:
        stream = self._api.watch(
            self.served,
            version=self._version,
            # Not all types at once, and not all providers at once.
            seconds=int(self._pace.lifetime * random.uniform(0.8, 1.0)),  # noqa: S311 - no secret
            silence=self._pace.silence,
        )
        with self._changed:
            self._stream = stream
            stopped = self._stopped
        try:
            if not stopped:
                self._well()
                for line in stream:
                    self._event(line)
        finally:
            with self._changed:
                self._stream = None
            stream.close()

    def _event(self, line: bytes) -> None:
        try:
            event = json.loads(line)
            kind, item = event["type"], event["object"]
            metadata = item.get("metadata") or {}
            version = str(metadata.get("resourceVersion", ""))
        except (ValueError, KeyError, TypeError, AttributeError):
            failure: Exception = UnreachableError("it sent half an event")
        else:
            match kind:
                case "ADDED" | "MODIFIED":
                    made = self._made(item)
                    self._objects[made.namespace, made.name] = made
                case "DELETED":
                    self._objects.pop((metadata.get("namespace", ""), metadata.get("name", "")), None)
                case "ERROR" if item.get("code") == 410:
                    raise _ExpiredError
                case "ERROR":
                    raise RefusedError(int(item.get("code") or 500))
            self._version = version or self._version
            self._failures = 0
            self._well()
            return
        raise failure

    def _made(self, item: dict[str, Any]) -> KubeObject:
        """The object, and the very same as before when its spec is: a label or a status is no reason to open a store anew.

        Nothing else of it is kept in memory.
        """
        metadata = item.get("metadata") or {}
        spec = item.get("spec")
        made = KubeObject(
            self.served.api_version,
            self.served.kind,
            str(metadata.get("namespace", "")),
            str(metadata.get("name", "")),
            spec if isinstance(spec, dict) else {},
            uid=str(metadata.get("uid", "")),
            generation=int(metadata.get("generation") or 0),
            resource_version=str(metadata.get("resourceVersion", "")),
        )
        before = self._objects.get((made.namespace, made.name))
        same = before and (before.uid, before.generation, before.spec) == (
            made.uid,
            made.generation,
            made.spec,
        )
        return before if before and same else made

    def _well(self) -> None:
        self._alive = time.monotonic()
        self._gone_since = None
        if self._problem:
            _log.info("%s is followed again", self.title)
            self._problem = ""

    def _refused(self, error: RefusedError) -> None:
        served = self.served
        group = served.api_version.partition("/")[0]
        now = time.monotonic()
        if error.status == 404 or (error.status == 403 and served.optional and not self._listed):
            # Whoever installs no alias need not grant the rights for it either.
            self._gone_since = self._gone_since or now
            if self._listed and now - self._gone_since >= self._pace.grace:
                self._objects, self._listed = {}, False
        if error.status == 404:
            self._report(
                f"the CustomResourceDefinition {served.plural}.{group} is not installed: print the provider's with its"
                " `crds` command, and apply them"
            )
        elif error.status == 403:
            self._report(
                f"the provider may not list and watch {served.plural} in API group {group}: grant its ServiceAccount"
                f" get, list and watch on {served.plural}.{group} by a ClusterRole and a ClusterRoleBinding"
            )
        elif error.status == 401:
            self._report("the API server does not accept the provider's own credentials (401)")
        elif error.status != 410:  # that one only says that history was cut between two pages of a list
            self._report(f"the API server can't be asked for {served.plural}: {error}")

    def _report(self, problem: str) -> None:
        if self._stopped:  # it was `stop` that broke the connection
            return
        if problem != self._problem:
            level = logging.DEBUG if self.quiet else logging.WARNING
            _log.log(level, "%s: %s", self.title, problem)
        with self._changed:
            self._problem = problem
            self._changed.notify_all()

    def _pause(self, began: float) -> None:
        """Wait before the next try: longer each time, never all at once, and shorter when somebody is waiting."""
        pace = self._pace
        longest = pace.absent_pause if self.quiet else pace.longest_pause
        pause = min(longest, pace.first_pause * 2 ** min(self._failures, 16)) * random.uniform(0.5, 1.0)  # noqa: S311
        self._failures += 1
        self._wake.clear()
        if self._stopped or not self._wake.wait(pause) or self._stopped:
            return
        # Woken by a reader. Readers may be many: not more than one try in a second.
        self._wait_until(began + min(1.0, pace.longest_pause))

    def _wait_until(self, then: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._stopped, timeout=max(0.0, then - time.monotonic()))
