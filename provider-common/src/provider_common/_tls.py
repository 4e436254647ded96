"""Mutual TLS for a gRPC server whose certificates are replaced while it serves, and for its clients.

gRPC asks for the certificates at every handshake. The answer costs three `stat` calls while nothing changes; files that
changed are read, checked, and used from this handshake on. Material that can't be used changes nothing: the server
goes on with what it had, and when that lasts for half a second, counts a failed reload and says why.

TLS below 1.2 needs no setting here: gRPC itself refuses it. Passphrases are not supported; there is nobody to type them.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import grpc
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from provider_common._files import UnfitFileError, read_file
from provider_common._x509 import (
    Authority,
    CertificateError,
    belong_together,
    issued_by,
    pem_blocks,
    read_authorities,
    read_chain,
    read_key,
)
from provider_common.sensitive import SecretBytes

_log = logging.getLogger(__name__)
_PATIENCE = 0.5
"""Seconds that files get to fit together again before it counts as a failure."""
_LARGEST = 4 * 1024 * 1024
"""Bytes that are read of a file: room for all the CAs of the world, and no endless device."""
_Signature = tuple[tuple[int, ...] | None, ...]


class TlsError(Exception):
    """TLS can't be set up. The text names the file, what is wrong with it, and the fix."""


class _MismatchError(TlsError):
    """Key and certificate are not of one pair; maybe they are being replaced right now."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where a server's certificates are. File names are relative to the folder; absolute ones stand for themselves."""

    cert_dir: str | os.PathLike[str]
    ca_file: str = "ca.crt"
    cert_file: str = "tls.crt"
    key_file: str = "tls.key"


@dataclass(frozen=True, slots=True)
class TlsClientFiles:
    """Where a client's certificates are."""

    cert_dir: str | os.PathLike[str]
    ca_file: str = "ca.crt"
    cert_file: str = "client.crt"
    key_file: str = "client.key"


@dataclass(frozen=True, slots=True)
class TlsMaterial:
    """A CA bundle, a certificate chain and its key, all PEM."""

    ca: bytes
    certificate: bytes
    key: SecretBytes = field(repr=False)

    @property
    def fingerprint(self) -> str:
        """A hash of all three: tells whether two materials are the same."""
        digest = hashlib.sha256()
        for part in (self.ca, self.certificate, bytes(self.key)):
            digest.update(hashlib.sha256(part).digest())
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class _Checked:
    material: TlsMaterial
    authorities: tuple[Authority, ...]
    chain: tuple[x509.Certificate, ...]

    @property
    def not_after(self) -> datetime:
        return self.chain[0].not_valid_after_utc


def client_credentials(
    source: TlsClientFiles | TlsMaterial | str | os.PathLike[str],
) -> grpc.ChannelCredentials:
    """Credentials of a gRPC channel, from files, from a folder with the usual names, or from bytes.

    Raises TlsError when they can't be used.
    """
    if isinstance(source, TlsMaterial):
        material = _check(source, TlsClientFiles("")).material
    else:
        material = load_client(source).material
    return grpc.ssl_channel_credentials(material.ca, bytes(material.key), material.certificate)


def load_client(source: TlsClientFiles | str | os.PathLike[str]) -> _Checked:
    """The client's material, checked. Raises TlsError when it can't be used.

    A client has nothing to go on with while its files are being replaced one after the other, so it waits for a moment.
    """
    files = source if isinstance(source, TlsClientFiles) else TlsClientFiles(source)
    patience = time.monotonic() + _PATIENCE
    while True:
        try:
            return _load(files)
        except _MismatchError:
            if time.monotonic() >= patience:
                raise
            threading.Event().wait(0.02)


class ServerTls:
    """A server's certificates: read once at start, and again whenever the files have changed. Safe to use from any thread."""

    def __init__(
        self,
        files: TlsFiles,
        *,
        on_reload: Callable[[bool, str], None] | None = None,
        settle: float = _PATIENCE,
    ) -> None:
        """Read the files. `on_reload` is told of every later change: whether it could be used, and why not. Files that
        don't fit together get `settle` seconds before that is a failure.

        Raises TlsError when the files can't be used. An expired certificate is no error (the clock may be wrong), but a
        warning in the log.
        """
        self._files = files
        self._on_reload = on_reload
        self._settle = settle
        self._lock = threading.Lock()
        self._seen = _signature(files)
        self._current = _load(files)
        self._doubted: _Signature | None = None
        self._doubted_until = 0.0
        self._generation = 0
        self.reloads = 0
        self.failed_reloads = 0
        for warning in _warnings(files, self._current, datetime.now(UTC)):
            _log.warning("%s", warning)

    def credentials(self) -> grpc.ServerCredentials:
        """Credentials that demand a client certificate and follow the files."""
        given = self._generation

        def fetch() -> grpc.ServerCertificateConfiguration | None:
            nonlocal given
            self.check()
            with self._lock:
                if given == self._generation:
                    return None
                given = self._generation
                return _configuration(self._current)

        with self._lock:
            given = self._generation
            initial = _configuration(self._current)
        # None means "no change"; the published types do not know that.
        return grpc.dynamic_ssl_server_credentials(
            initial,
            fetch,  # type: ignore[arg-type]
            require_client_authentication=True,
        )

    def check(self) -> None:
        """Take up changed files now. Never raises: what still can't be used at a second look is counted and told."""
        with self._lock:
            told = self._check()
        if told is not None and self._on_reload is not None:
            self._on_reload(*told)

    def _check(self) -> tuple[bool, str] | None:
        seen, moment = _signature(self._files), time.monotonic()
        if seen == self._seen or (seen == self._doubted and moment < self._doubted_until):
            return None
        now = datetime.now(UTC)
        try:
            fresh = _load(self._files)
            _refuse_expired(self._files, fresh, self._current, now)
        except TlsError as error:
            if seen != self._doubted:
                # Whoever replaces three files is half done for a moment: that is no failure yet.
                self._doubted, self._doubted_until = seen, moment + self._settle
                return None
            self._seen = seen
            self.failed_reloads += 1
            _log.warning("TLS files changed but can't be used, going on with the old ones: %s", error)
            return False, str(error)
        self._seen = seen
        if fresh.material == self._current.material:
            return None
        self._current = fresh
        self._generation += 1
        self.reloads += 1
        for warning in _warnings(self._files, fresh, now):
            _log.warning("%s", warning)
        _log.info("TLS files reloaded; certificate valid until %s", f"{fresh.not_after:%Y-%m-%d %H:%M} UTC")
        return True, ""

    def expiry(self) -> dict[str, float]:
        """When the certificates in use end: file name to seconds since 1970; of a CA bundle, the certificate that lasts
        longest.
        """
        self.check()
        with self._lock:
            current = self._current
        longest = max(authority.not_after for authority in current.authorities)
        return {
            Path(self._files.ca_file).name: longest.timestamp(),
            Path(self._files.cert_file).name: current.not_after.timestamp(),
        }


def _refuse_expired(files: TlsFiles, fresh: _Checked, current: _Checked, now: datetime) -> None:
    """A certificate whose time is over is no replacement for one that works."""
    if fresh.not_after <= now < current.not_after:
        raise TlsError(f"{_path(files, files.cert_file)} expired on {fresh.not_after:%Y-%m-%d %H:%M} UTC")


def _configuration(checked: _Checked) -> grpc.ServerCertificateConfiguration:
    # Made anew every time: gRPC takes the inside of the object that it is given, a second use would be empty.
    material = checked.material
    return grpc.ssl_server_certificate_configuration(
        [(bytes(material.key), material.certificate)], material.ca
    )


def _path(files: TlsFiles | TlsClientFiles, name: str) -> Path:
    return Path(files.cert_dir) / name


def _signature(files: TlsFiles | TlsClientFiles) -> _Signature:
    """Changes whenever a file does, be it rewritten, renamed over, or behind a symlink that moved."""
    folder = os.fspath(files.cert_dir)
    return _stat(folder, files.ca_file), _stat(folder, files.cert_file), _stat(folder, files.key_file)


def _stat(folder: str, name: str) -> tuple[int, ...] | None:
    try:
        # Plain functions: this runs at every handshake, and Path objects would be most of its cost.
        found = os.stat(os.path.join(folder, name))  # noqa: PTH116, PTH118
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _load(files: TlsFiles | TlsClientFiles) -> _Checked:
    """Read and check three files that belong together, even if they are being replaced right now."""
    while True:
        before = _signature(files)
        try:
            ca, certificate, key = (
                _read(_path(files, name)) for name in (files.ca_file, files.cert_file, files.key_file)
            )
            return _check(TlsMaterial(ca, certificate, SecretBytes(key)), files)
        except TlsError:
            if before == _signature(files):
                raise


def _read(path: Path) -> bytes:
    try:
        return read_file(path, largest=_LARGEST, advice=", which no certificate has")
    except UnfitFileError as problem:
        raise TlsError(f"{path} can't be used: it {problem}") from None
    except FileNotFoundError:
        raise TlsError(
            f"{path} is missing; mount the Secret with the certificates there, or make a set with the `certs` command"
        ) from None
    except OSError as error:
        raise TlsError(
            f"{path} can't be read ({error.strerror}); it must be a file that user {os.getuid()} may read"
        ) from None


def _check(material: TlsMaterial, files: TlsFiles | TlsClientFiles) -> _Checked:
    ca_path, cert_path, key_path = (
        _path(files, name) for name in (files.ca_file, files.cert_file, files.key_file)
    )
    try:
        at = ca_path
        authorities = read_authorities(material.ca)
        at = cert_path
        chain = read_chain(material.certificate)
        at = key_path
        key = read_key(material.key)
    except CertificateError as error:
        raise TlsError(f"{at} can't be used: {error}") from None
    if not belong_together(key, chain[0]):
        raise _MismatchError(f"{key_path} does not belong to {cert_path}; replace both together")
    # Only the blocks themselves: gRPC gives up on a bundle with a comment that OpenSSL would skip.
    clean = TlsMaterial(
        b"".join(authority.pem for authority in authorities),
        b"".join(pem_blocks(material.certificate, "CERTIFICATE")),
        SecretBytes(b"".join(pem_blocks(material.key, "PRIVATE KEY")[:1])),
    )
    return _Checked(clean, tuple(authorities), tuple(chain))


def _warnings(files: TlsFiles, checked: _Checked, now: datetime) -> list[str]:
    """What gRPC would serve with, and peers would refuse without a helpful word."""
    ca_path, cert_path = _path(files, files.ca_file), _path(files, files.cert_file)
    found = []
    if checked.not_after <= now:
        found.append(f"{cert_path} expired on {checked.not_after:%Y-%m-%d %H:%M} UTC: clients will refuse it")
    if all(authority.not_after <= now for authority in checked.authorities):
        found.append(f"{ca_path} holds no CA that is still valid: every client will be refused")
    if not _has_names(checked.chain[0]):
        found.append(
            f"{cert_path} has no subject alternative name: clients verify nothing else, and will refuse it"
        )
    if not _is_for_servers(checked.chain[0]):
        found.append(f"{cert_path} is not for servers (its extended key usage): clients will refuse it")
    if not _chains(checked):
        found.append(
            f"{cert_path} was not issued by a CA in {ca_path}: clients that trust only that one will refuse it"
        )
    return found


def _has_names(leaf: x509.Certificate) -> bool:
    try:
        return bool(leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        return False


def _is_for_servers(leaf: x509.Certificate) -> bool:
    try:
        purposes = set(leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        return True
    return bool(purposes & {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE})


def _chains(checked: _Checked) -> bool:
    """False when none of the CAs has issued anything of the chain. A CA that can't be parsed gets the benefit of doubt."""
    parsed = [authority.parsed() for authority in checked.authorities]
    return any(ca is None or issued_by(each, ca) for ca in parsed for each in checked.chain)
