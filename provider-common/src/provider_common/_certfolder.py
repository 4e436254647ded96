"""Certificates in a folder, under the names that servers and cores expect, and the bad ones that peers have to refuse."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from provider_common._issuing import LEAF_VALIDITY, KeyPair, issue_ca, issue_leaf
from provider_common.sensitive import SecretBytes

CA_CERT, CA_KEY = "ca.crt", "ca.key"
SERVER_CERT, SERVER_KEY = "tls.crt", "tls.key"
CLIENT_CERT, CLIENT_KEY = "client.crt", "client.key"


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Replace `files` in `folder`, in this order. A reader sees each one old or new, never a part; keys get mode 0600.

    All are written before the first one is put in place, so that a certificate and its key differ for microseconds only.
    """
    folder.mkdir(parents=True, exist_ok=True)
    ready: list[tuple[Path, Path]] = []
    try:
        for name, content in files.items():
            temporary = folder / f".{name}.{os.getpid()}.tmp"
            ready.append((temporary, folder / name))
            _write(temporary, content, mode=0o600 if name.endswith(".key") else 0o644)
        for temporary, path in ready:
            temporary.replace(path)
    finally:
        for temporary, _ in ready:
            temporary.unlink(missing_ok=True)


def _write(path: Path, content: bytes, *, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


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
        validity = LEAF_VALIDITY if now is None else timedelta(days=1, hours=23)
        _write_all(folder, self.authority(), validity=validity, now=now)
        return folder


def issue_certs(
    folder: str | os.PathLike[str], hosts: Sequence[str] = ("localhost", "127.0.0.1")
) -> CertFolder:
    """A throw-away CA with a server leaf for `hosts` and a client leaf, written to `folder` (made when missing)."""
    certs = CertFolder(Path(folder), tuple(hosts))
    _write_all(certs, issue_ca(), validity=LEAF_VALIDITY, now=None)
    return certs


def _write_all(certs: CertFolder, ca: KeyPair, *, validity: timedelta, now: datetime | None) -> None:
    server = issue_leaf(ca, usage="server", hosts=certs.hosts, validity=validity, now=now)
    client = issue_leaf(ca, usage="client", validity=validity, now=now)
    write_files(
        certs.path,
        {
            CA_CERT: ca.certificate,
            CA_KEY: ca.key,
            SERVER_KEY: server.key,
            SERVER_CERT: server.certificate,
            CLIENT_KEY: client.key,
            CLIENT_CERT: client.certificate,
        },
    )
