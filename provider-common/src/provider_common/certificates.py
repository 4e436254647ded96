"""Certificates for mutual TLS between a core and its providers: issue them, keep them, replace them in time.

`CertificateManager` works in the style of the Go project's cert-controller: one private CA, one server leaf, one client leaf,
under the same six names. What it keeps them in is a `CertificateStore`; here is one for a folder.

Leaves and the CA are replaced before they expire, and no call fails meanwhile, because servers and clients may read the
files at different moments: a new CA is first *announced* (trusted beside the old one, signs nothing), after `overlap` it
*signs* new leaves, and after another `overlap` the old one is *retired*. Where the rotation stands is read off the certificates
themselves, so it survives any crash and needs no file of its own.

What the Go controller made (RSA keys in PKCS#1, a CA with serial number 0) is kept as long as it is good. When it is due, a
new CA takes over in the same three steps: a CA with such a number can't be signed with here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

from provider_common._certfolder import CertFolder, issue_certs, write_files
from provider_common._certstate import NAMES, USAGES, Leaf, Signer, State, Usage
from provider_common._issuing import (
    BACKDATE,
    CA_VALIDITY,
    LEAF_VALIDITY,
    KeyPair,
    issue_ca,
    issue_leaf,
    service_hosts,
)
from provider_common._x509 import CertificateError, read_leaf

RENEW_BEFORE = timedelta(days=30)
OVERLAP = timedelta(hours=1)
"""How long a new CA is known before it signs, and an old one after it no longer does. Secrets mounted as volumes take a
minute or two to arrive; an hour is on the safe side."""


class CertificateStore(Protocol):
    """What holds the six files. The manager is its only writer."""

    def read(self) -> Mapping[str, bytes]:
        """The files there are, by name."""

    def write(self, files: Mapping[str, bytes]) -> None:
        """Replace these files, in this order; the others stay."""


class FolderStore:
    """A folder. Each file is replaced in one step; keys have mode 0600."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        """The folder is made by the first write."""
        self._folder = Path(folder)

    def read(self) -> Mapping[str, bytes]:
        """The files there are, by name."""
        found = {}
        for name in NAMES:
            try:
                found[name] = (self._folder / name).read_bytes()
            except FileNotFoundError:
                continue
        return found

    def write(self, files: Mapping[str, bytes]) -> None:
        """Replace these files, in this order; the others stay."""
        write_files(self._folder, files)


@dataclass(frozen=True, slots=True)
class Ensured:
    """What `CertificateManager.ensure` did."""

    changes: tuple[str, ...]
    """In words; empty when all was well."""
    next_check: datetime
    """When to call again at the latest."""

    def __str__(self) -> str:
        done = ", ".join(self.changes) or "nothing to do"
        return f"{done}; next check by {self.next_check:%Y-%m-%d %H:%M} UTC"


class CertificateManager:
    """Keeps a store's certificates good. Call `ensure` at start and then by its `next_check`, or more often."""

    def __init__(
        self,
        store: CertificateStore,
        *,
        hosts: Sequence[str],
        validity: timedelta = LEAF_VALIDITY,
        renew_before: timedelta = RENEW_BEFORE,
        ca_validity: timedelta | None = None,
        overlap: timedelta = OVERLAP,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`hosts` are the server's names (`service_hosts`). Leaves live for `validity` and are replaced `renew_before` their
        end; the CA lives for `ca_validity` (default: ten years, or three times `validity`).

        Raises ValueError for times that don't fit into each other.
        """
        self._ca_validity = ca_validity or max(CA_VALIDITY, 3 * validity)
        # A CA is replaced while it can still sign a leaf of full length.
        self._renew_ca_before = validity + 2 * overlap
        if not hosts:
            raise ValueError("a server certificate needs at least one host")
        if not timedelta(0) < renew_before < validity:
            raise ValueError("renew_before must be more than zero and less than validity")
        if self._ca_validity <= self._renew_ca_before:
            raise ValueError("ca_validity must be longer than validity and twice the overlap")
        self._store = store
        self._hosts = tuple(hosts)
        self._validity = validity
        self._renew_before = renew_before
        self._overlap = overlap
        self._clock = clock

    def ensure(self) -> Ensured:
        """Make the store hold a CA and two leaves that are good for a while. Does nothing when it does already."""
        now = self._clock()
        before = dict(self._store.read())
        state = State.read(before, now)
        changes: list[str] = []

        if self._needs_ca(state, now):
            state.add_ca(issue_ca(validity=self._ca_validity, now=now))
            changes.append("announced a new CA" if len(state.trusted) > 1 else "made a CA")
        for usage in USAGES:
            signer = self._signer_for(state, usage, now)
            if signer is not None:
                made = issue_leaf(
                    signer.pair,
                    usage=usage,
                    hosts=self._hosts if usage == "server" else (),
                    validity=self._validity,
                    now=now,
                )
                state.leaves[usage] = Leaf(made, read_leaf(made.certificate), signer.authority)
                changes.append(f"issued the {usage} certificate")
        if self._may_retire(state, now):
            state.retire_all_but_newest()
            changes.append("retired the old CA")

        after = state.files(before)
        changed = {name: content for name, content in after.items() if before.get(name) != content}
        if changed:
            self._store.write(changed)
        return Ensured(tuple(changes), self._next_check(state, now))

    def _needs_ca(self, state: State, now: datetime) -> bool:
        newest = state.newest
        if newest is not None:
            return newest.authority.not_after - now <= self._renew_ca_before
        # Nothing to sign with: made by others, or the key is lost. Good as long as all of it is.
        ends = [authority.not_after for authority in state.trusted]
        return (
            not ends
            or max(ends) - now <= self._renew_before
            or any(self._due(state, usage, now) for usage in USAGES)
        )

    def _due(self, state: State, usage: Usage, now: datetime) -> bool:
        leaf = state.leaves.get(usage)
        return leaf is None or self._misses_hosts(leaf, usage) or leaf.not_after - now <= self._renew_before

    def _misses_hosts(self, leaf: Leaf, usage: Usage) -> bool:
        return usage == "server" and not leaf.covers(self._hosts)

    def _settled(self, state: State, newest: Signer, now: datetime) -> bool:
        """True when everybody has seen the newest CA, or nobody works with another one."""
        alone = all(authority is newest.authority for authority in state.trusted)
        return alone or not state.leaves or now >= newest.since + self._overlap

    def _signer_for(self, state: State, usage: Usage, now: datetime) -> Signer | None:
        """Who has to sign a new leaf now; None when the one there is stays."""
        newest, leaf = state.newest, state.leaves.get(usage)
        if newest is None:
            return None
        if self._settled(state, newest, now):
            return (
                newest
                if self._due(state, usage, now) or (leaf and leaf.issuer is not newest.authority)
                else None
            )
        previous = state.previous
        if leaf is None:
            return previous or newest
        if previous is None or not self._due(state, usage, now):
            return None
        lasts_longer = min(now + self._validity, previous.authority.not_after) > leaf.not_after + BACKDATE
        return previous if lasts_longer or self._misses_hosts(leaf, usage) else None

    def _may_retire(self, state: State, now: datetime) -> bool:
        newest = state.newest
        if newest is None or len(state.trusted) < 2:
            return False
        leaves = [state.leaves.get(usage) for usage in USAGES]
        return all(
            leaf is not None and leaf.issuer is newest.authority and now >= leaf.since + self._overlap
            for leaf in leaves
        )

    def _next_check(self, state: State, now: datetime) -> datetime:
        moments = [leaf.not_after - self._renew_before for leaf in state.leaves.values()]
        newest = state.newest
        if newest is None:
            moments += [authority.not_after - self._renew_before for authority in state.trusted]
        else:
            moments.append(newest.authority.not_after - self._renew_ca_before)
            if len(state.trusted) > 1:
                moments.append(newest.since + self._overlap)
                moments += [leaf.since + self._overlap for leaf in state.leaves.values()]
        ahead = [moment for moment in moments if moment > now]
        return min(ahead, default=now + self._overlap)


__all__ = [
    "BACKDATE",
    "CA_VALIDITY",
    "LEAF_VALIDITY",
    "OVERLAP",
    "RENEW_BEFORE",
    "CertFolder",
    "CertificateError",
    "CertificateManager",
    "CertificateStore",
    "Ensured",
    "FolderStore",
    "KeyPair",
    "issue_ca",
    "issue_certs",
    "issue_leaf",
    "service_hosts",
]
