"""What a set of certificate files amounts to: who is trusted, who can sign, which leaves work.

It is read off the certificates alone. Which of it is due, and what follows, decides `certificates.CertificateManager`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from cryptography import x509

from provider_common._certfolder import CA_CERT, CA_KEY, CLIENT_CERT, CLIENT_KEY, SERVER_CERT, SERVER_KEY
from provider_common._issuing import BACKDATE, KeyPair
from provider_common._x509 import (
    Authority,
    CertificateError,
    belong_together,
    issued_by,
    pem_blocks,
    read_authorities,
    read_key,
    read_leaf,
)
from provider_common.sensitive import SecretBytes

Usage = Literal["server", "client"]
USAGES: tuple[Usage, ...] = ("server", "client")
PLACES: Mapping[Usage, tuple[str, str]] = {
    "server": (SERVER_CERT, SERVER_KEY),
    "client": (CLIENT_CERT, CLIENT_KEY),
}
NAMES = (CA_CERT, CA_KEY, SERVER_CERT, SERVER_KEY, CLIENT_CERT, CLIENT_KEY)


@dataclass(frozen=True, slots=True)
class Signer:
    """A trusted CA whose key we have."""

    pair: KeyPair
    authority: Authority

    @property
    def since(self) -> datetime:
        """When it was made."""
        return self.authority.not_before + BACKDATE


@dataclass(frozen=True, slots=True)
class Leaf:
    """A certificate in use, with its key and the trusted CA that issued it."""

    pair: KeyPair
    parsed: x509.Certificate
    issuer: Authority

    @property
    def not_after(self) -> datetime:
        """When it ends."""
        return self.parsed.not_valid_after_utc

    @property
    def since(self) -> datetime:
        """When it was made."""
        return self.parsed.not_valid_before_utc + BACKDATE

    def covers(self, hosts: Sequence[str]) -> bool:
        """True when it is good for all of these names."""
        try:
            names = self.parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except x509.ExtensionNotFound:
            return False
        there = {str(name.value).lower() for name in names}
        return all(host.lower() in there for host in hosts)


class State:
    """What a store holds, without what is of no use: expired, damaged, or signed by nobody we trust."""

    def __init__(self, trusted: list[Authority], signers: list[Signer], leaves: dict[Usage, Leaf]) -> None:
        self.trusted = trusted
        self._signers = signers
        self.leaves = leaves

    @classmethod
    def read(cls, files: Mapping[str, bytes], now: datetime) -> State:
        """The state that `files` are in at `now`."""
        try:
            trusted = [each for each in read_authorities(files.get(CA_CERT, b"")) if each.not_after > now]
        except CertificateError:
            trusted = []
        leaves = {usage: _leaf(files, *PLACES[usage], trusted, now) for usage in USAGES}
        return cls(
            trusted,
            _signers(trusted, files.get(CA_KEY, b"")),
            {usage: leaf for usage, leaf in leaves.items() if leaf is not None},
        )

    @property
    def newest(self) -> Signer | None:
        """The CA that signs, or is going to."""
        return max(self._signers, key=lambda signer: signer.authority.not_before, default=None)

    @property
    def previous(self) -> Signer | None:
        """The newest CA before the newest."""
        return max(
            (signer for signer in self._signers if signer is not self.newest),
            key=lambda signer: signer.authority.not_before,
            default=None,
        )

    def add_ca(self, pair: KeyPair) -> None:
        """Trust a new CA beside the others."""
        authority = read_authorities(pair.certificate)[0]
        self.trusted.append(authority)
        self._signers.append(Signer(pair, authority))

    def retire_all_but_newest(self) -> None:
        """Trust the newest CA only."""
        assert self.newest is not None
        self._signers = [self.newest]
        self.trusted = [self.newest.authority]

    def files(self, before: Mapping[str, bytes]) -> dict[str, bytes]:
        """What the store has to hold, in the order of writing: trust first, and a key before its certificate.

        The CA that signs comes first: the Go side reads only the first of each file.
        """
        in_use = [leaf.issuer for leaf in self.leaves.values()]
        trusted = sorted(self.trusted, key=lambda authority: authority not in in_use)
        keys = [
            signer.pair.key
            for authority in trusted
            for signer in self._signers
            if signer.authority is authority
        ]
        files = {CA_CERT: b"".join(authority.pem for authority in trusted)}
        # Without a signer there may still be a key that others can use.
        files[CA_KEY] = b"".join(bytes(key) for key in keys) or before.get(CA_KEY, b"")
        for usage, leaf in self.leaves.items():
            certificate, key = PLACES[usage]
            files |= {key: bytes(leaf.pair.key), certificate: leaf.pair.certificate}
        return files


def _signers(trusted: Sequence[Authority], pem: bytes) -> list[Signer]:
    try:
        keys = [(block, read_key(block)) for block in pem_blocks(pem, "PRIVATE KEY")]
    except CertificateError:
        return []
    return [
        Signer(KeyPair(authority.pem, SecretBytes(block)), authority)
        for authority in trusted
        if (parsed := authority.parsed()) is not None
        for block, key in keys
        if belong_together(key, parsed)
    ]


def _leaf(
    files: Mapping[str, bytes], certificate: str, key: str, trusted: Sequence[Authority], now: datetime
) -> Leaf | None:
    pair = KeyPair(files.get(certificate, b""), SecretBytes(files.get(key, b"")))
    try:
        parsed = read_leaf(pair.certificate)
        if not belong_together(read_key(pair.key), parsed) or parsed.not_valid_after_utc <= now:
            return None
    except CertificateError:
        return None
    issuer = _issuer(parsed, trusted)
    return None if issuer is None else Leaf(pair, parsed, issuer)


def _issuer(leaf: x509.Certificate, trusted: Sequence[Authority]) -> Authority | None:
    unchecked = None
    for authority in trusted:
        parsed = authority.parsed()
        if parsed is None:
            # A CA that only OpenSSL reads (serial number 0): it is taken for the issuer when no other one is.
            unchecked = authority
        elif issued_by(leaf, parsed):
            return authority
    return unchecked
