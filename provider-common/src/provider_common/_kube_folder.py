"""A folder of YAML manifests in place of a cluster: what an embedded core and its providers read when there is none.

It is followed by looking at time stamps, so that any editor, mount or file system will do. ServiceAccount tokens can't be
had here: nothing in a folder could sign one.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from provider_common._folder import NOTHING, Key, Snapshot, Types, scan, signature_of
from provider_common.errors import InvalidSpecError, TemporaryError, UnsupportedError
from provider_common.kube import IssuedToken, KubeObject, ServedType, ServiceAccountInfo, WatchStatus

_SPARE = 20  # the looks may take one part in twenty of the time: a large folder is looked at less often
_LONGEST = 5.0  # seconds between two looks, after one that had to read everything

RECHECK = 0.02
"""Seconds for which a file that was just found unchanged is believed. Asking the file system at every read gives up the
interpreter's lock at every read, which costs a busy server a fifth of its calls.
"""


class FolderReader:
    """Reads `folder` and everything below it, hidden files left out. A KubeReader.

    `poll` is the number of seconds between two looks at the folder. Besides that, a read makes sure that the file it
    answers from was unchanged `recheck` seconds ago, and that what is not there has not just been written. `timeout` gives
    the seconds for which a read may wait for a look.
    """

    def __init__(
        self,
        folder: Path,
        *,
        poll: float = 0.5,
        recheck: float = RECHECK,
        timeout: Callable[[], float] = lambda: 10.0,
    ) -> None:
        self._folder = folder
        self._poll = poll
        self._recheck = recheck
        self._timeout = timeout
        self._served: tuple[ServedType, ...] = ()
        self._types: Types = frozenset()
        self._looking = threading.Lock()
        self._began = self._ended = float("-inf")
        self._snapshot = NOTHING
        self._checked: dict[str, float] = {}  # when a file was last seen to be as it is in the snapshot
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, types: tuple[ServedType, ...]) -> None:
        """Begin to follow the folder. Returns at once."""
        self._served = types
        self._types = frozenset((t.api_version, t.kind) for t in types)
        self._snapshot = NOTHING  # what was read before holds none of these
        self._thread = threading.Thread(target=self._follow, name="manifests", daemon=True)
        self._thread.start()

    def get_object(self, api_version: str, kind: str, namespace: str, name: str) -> KubeObject | None:
        """The object as its file has it now; None when there is none.

        Raises TemporaryError when the folder, or a file in which the object may be, can't be read; InvalidSpecError when
        its manifest says what can't be.
        """
        found: KubeObject | None = self._read((api_version, kind, namespace, name))
        return found

    def read_secret(self, namespace: str, name: str) -> Mapping[str, bytes] | None:
        """`data` and `stringData` of the Secret; None when there is none. Raises as `get_object`."""
        found: Mapping[str, bytes] | None = self._read(("v1", "Secret", namespace, name))
        return found

    def read_config_map(self, namespace: str, name: str) -> Mapping[str, bytes] | None:
        """`data` and `binaryData` of the ConfigMap; None when there is none. Raises as `get_object`."""
        found: Mapping[str, bytes] | None = self._read(("v1", "ConfigMap", namespace, name))
        return found

    def read_service_account(self, namespace: str, name: str) -> ServiceAccountInfo | None:
        """The ServiceAccount; None when there is none. Raises as `get_object`."""
        found: ServiceAccountInfo | None = self._read(("v1", "ServiceAccount", namespace, name))
        return found

    def create_token(
        self, namespace: str, name: str, *, audiences: tuple[str, ...], expiration_seconds: int | None
    ) -> IssuedToken:
        """Raises UnsupportedError: a folder signs no tokens."""
        del audiences, expiration_seconds
        raise UnsupportedError(
            f"A token of ServiceAccount {name!r} in namespace {namespace!r} can't be had: the configuration comes"
            " from a folder of manifests, and only a cluster issues tokens. Log in by a Secret, or run in a cluster",
            details={"kind": "ServiceAccount", "name": name, "namespace": namespace},
        )

    def status(self) -> WatchStatus:
        """How long ago the folder was looked at, and what is wrong in it, by file."""
        snapshot = self._snapshot
        if snapshot is NOTHING:
            return WatchStatus(synced=False)
        age = time.monotonic() - self._ended
        return WatchStatus(
            synced="." not in snapshot.unread,
            ages={f"{t.api_version}/{t.kind}": age for t in self._served},
            problems=dict(snapshot.problems),
        )

    def close(self) -> None:
        """Stop following."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=2)

    def _follow(self) -> None:
        while not self._stop.is_set():
            began = time.monotonic()
            self._look(began, wait=-1)
            spare = min(_LONGEST, _SPARE * (time.monotonic() - began))
            self._stop.wait(max(self._poll, spare))

    def _read(self, key: Key) -> Any:
        snapshot = self._snapshot
        found = snapshot.entries.get(key)
        if found is None or self._changed(snapshot, found[0]):
            snapshot = self._look(time.monotonic(), wait=max(self._timeout() * 0.9, 0.0))
            found = snapshot.entries.get(key)
        if found is None:
            if snapshot.unread:
                raise _may_be_there(key, snapshot)
            return None
        if isinstance(found[1].value, str):
            raise InvalidSpecError(found[1].value)
        return found[1].value

    def _changed(self, snapshot: Snapshot, name: str) -> bool:
        now = time.monotonic()
        if now - self._checked.get(name, float("-inf")) < self._recheck:
            return False
        if signature_of(os.path.join(self._folder, name)) != snapshot.files[name].signature:  # noqa: PTH118 - hot path
            return True
        self._checked[name] = now
        return False

    def _look(self, asked: float, *, wait: float) -> Snapshot:
        """The folder's state at some time after `asked`. Those who wait together share one look."""
        if not self._looking.acquire(timeout=wait):
            raise TemporaryError("The manifests are still being read: try again in a moment", retry_after=1.0)
        try:
            if self._began < asked:
                self._began = time.monotonic()
                last, self._snapshot = self._snapshot, scan(self._folder, self._types, self._snapshot)
                if self._snapshot is not last:
                    self._checked = {}
                self._ended = time.monotonic()
            return self._snapshot
        finally:
            self._looking.release()


def _may_be_there(key: Key, snapshot: Snapshot) -> TemporaryError:
    _, kind, namespace, name = key
    files = "; ".join(snapshot.problems.get(file, file) for file in snapshot.unread[:3])
    return TemporaryError(
        f"{kind} {name!r} in namespace {namespace!r} is in no manifest that could be read, but some could not: {files}"
    )
