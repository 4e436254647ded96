"""Certificates in a folder, under the names that servers and cores expect, and the bad ones that peers have to refuse."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from provider_common._issuing import LEAF_VALIDITY, KeyPair, issue_ca, issue_leaf
from provider_common.sensitive import SecretBytes

CA_CERT, CA_KEY = "ca.crt", "ca.key"
SERVER_CERT, SERVER_KEY = "tls.crt", "tls.key"
CLIENT_CERT, CLIENT_KEY = "client.crt", "client.key"


def write_file(path: Path, content: bytes) -> None:
    """Replace `path` in one step: a reader sees the old or the new content, never a part. Keys get mode 0600."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    mode = 0o600 if path.suffix == ".key" else 0o644
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@dataclass(frozen=True, slots=True)
class CertFolder:
    """A folder with a CA, a server leaf and a client leaf under the names that servers and cores expect.

    The further methods make what a peer has to refuse; each writes below `path` and says where.
    """

    path: Path
    hosts: tuple[str, ...]

    @property
    def ca_file(self) -> Path:
        """The CA bundle."""
        return self.path / CA_CERT

    @property
    def ca_key(self) -> Path:
        """The CA's key."""
        return self.path / CA_KEY

    @property
    def server_cert(self) -> Path:
        """The server's certificate."""
        return self.path / SERVER_CERT

    @property
    def server_key(self) -> Path:
        """The server's key."""
        return self.path / SERVER_KEY

    @property
    def client_cert(self) -> Path:
        """The client's certificate."""
        return self.path / CLIENT_CERT

    @property
    def client_key(self) -> Path:
        """The client's key."""
        return self.path / CLIENT_KEY

    def authority(self) -> KeyPair:
        """The CA, to issue more leaves with."""
        return KeyPair(self.ca_file.read_bytes(), SecretBytes(self.ca_key.read_bytes()))

    def stranger(self) -> CertFolder:
        """Certificates for the same hosts, in good order, of a CA that nobody here trusts."""
        return issue_certs(self.path / "stranger", hosts=self.hosts)

    def expired(self) -> CertFolder:
        """Leaves of this CA for the same hosts whose time is over since an hour."""
        return self._variant("expired", self.hosts, datetime.now(UTC) - timedelta(days=2))

    def misnamed(self, host: str = "somewhere-else.invalid") -> CertFolder:
        """Leaves of this CA whose server certificate is for `host` only."""
        return self._variant("misnamed", (host,), None)

    def _variant(self, name: str, hosts: tuple[str, ...], now: datetime | None) -> CertFolder:
        folder = CertFolder(self.path / name, hosts)
        folder.path.mkdir(parents=True, exist_ok=True)
        validity = LEAF_VALIDITY if now is None else timedelta(days=1, hours=23)
        _write_all(folder, self.authority(), validity=validity, now=now)
        return folder


def issue_certs(
    folder: str | os.PathLike[str], hosts: Sequence[str] = ("localhost", "127.0.0.1")
) -> CertFolder:
    """A throw-away CA with a server leaf for `hosts` and a client leaf, written to `folder` (made when missing)."""
    certs = CertFolder(Path(folder), tuple(hosts))
    certs.path.mkdir(parents=True, exist_ok=True)
    _write_all(certs, issue_ca(), validity=LEAF_VALIDITY, now=None)
    return certs


def _write_all(certs: CertFolder, ca: KeyPair, *, validity: timedelta, now: datetime | None) -> None:
    server = issue_leaf(ca, usage="server", hosts=certs.hosts, validity=validity, now=now)
    client = issue_leaf(ca, usage="client", validity=validity, now=now)
    for path, content in (
        (certs.ca_file, ca.certificate),
        (certs.ca_key, ca.key),
        (certs.server_key, server.key),
        (certs.server_cert, server.certificate),
        (certs.client_key, client.key),
        (certs.client_cert, client.certificate),
    ):
        write_file(path, content)
