"""Read-your-writes for Vault Enterprise: what a performance standby must have seen before it may answer.

Vault tells its replication state in `X-Vault-Index`; a client that sends it back is answered by a node that has caught
up, or with 412, which is tried again. Only the newest state of a cluster is kept.
"""

from __future__ import annotations

import base64
import binascii
import threading
from collections.abc import Mapping


class Consistency:
    """The headers of one store. By default none."""

    def __init__(self, *, read_your_writes: bool = False, forward_inconsistent: bool = False) -> None:
        # Forwarding only makes sense for a request that names a state, so it switches replaying on; the header itself
        # is sent when both were asked for, as the in-tree store does.
        self._replay = read_your_writes or forward_inconsistent
        self._forward = read_your_writes and forward_inconsistent
        self._lock = threading.Lock()
        self._state = ""

    def headers(self) -> Mapping[str, str]:
        """What to add to a request."""
        found = {}
        if self._replay and self._state:
            found["X-Vault-Index"] = self._state
        if self._forward:
            found["X-Vault-Inconsistent"] = "forward-active-node"
        return found

    def learn(self, state: str | None) -> None:
        """Take over the state of an answer, if it is news."""
        if not self._replay or not state:
            return
        with self._lock:
            if not self._state or _newer(state, self._state):
                self._state = state


def _newer(state: str, than: str) -> bool:
    mine, theirs = _parse(state), _parse(than)
    if mine is None:
        return False
    # Another cluster's state can't be compared with ours: the server that answers now knows best.
    return theirs is None or mine[0] != theirs[0] or mine[1:] >= theirs[1:]


def _parse(state: str) -> tuple[str, int, int] | None:
    """(cluster, local index, replicated index) of `v1:cluster:local:replicated:hmac` in base64."""
    try:
        parts = base64.b64decode(state, validate=True).decode().split(":")
        if len(parts) != 5 or parts[0] != "v1":
            return None
        return parts[1], int(parts[2]), int(parts[3])
    except (binascii.Error, ValueError):
        return None
