"""An LDAP directory with a few people and one group, for logins that ask a directory."""

from __future__ import annotations

import json
import shutil
import socket
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from eso_e2e import servers
from eso_e2e.pki import CertificateAuthority
from eso_e2e.process import ServerProcess, free_port

BASE_DN = "dc=example,dc=com"
USERS_DN = f"ou=people,{BASE_DN}"
GROUPS_DN = f"ou=groups,{BASE_DN}"
ADMIN_DN = f"cn=admin,{BASE_DN}"


@dataclass(frozen=True)
class Person:
    """Somebody who can log in."""

    uid: str
    password: str

    @property
    def dn(self) -> str:
        """The name to bind with."""
        return f"uid={self.uid},{USERS_DN}"


ADMIN_PASSWORD = "directory-admin"
ALICE = Person("alice", "alice-password")
BOB = Person("bob", "bob-password")


class LdapServer:
    """A directory where ALICE is in the group `readers` and BOB is in none; searches need a bind (ADMIN_DN)."""

    def __init__(self, *, tls: bool = False, progress: servers.Progress = servers.say) -> None:
        """Start it, with LDAPS if `tls`. Raises NotToBeHadError, ServerError."""
        binary = servers.find("ldap", progress=progress)
        self.folder = Path(tempfile.mkdtemp(prefix="eso-e2e-ldap-"))
        self.port = free_port()
        self.url = f"{'ldaps' if tls else 'ldap'}://127.0.0.1:{self.port}"
        self.ca_file: Path | None = None
        entries = self.folder / "entries.json"
        entries.write_text(json.dumps(_entries()))
        command: list[str | Path] = [binary, "-listen", f"127.0.0.1:{self.port}", "-entries", entries]
        if tls:
            authority = CertificateAuthority(self.folder / "pki", "eso-e2e LDAP CA")
            serving = authority.issue("ldap")
            self.ca_file = authority.ca_file
            command += ["-cert", serving.cert, "-key", serving.key]
        self._process = ServerProcess(command, log=self.folder / "ldap.log", remove=self.folder)
        try:
            self._process.wait_ready(self._listens)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the server and delete its folder."""
        self._process.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True


def _entries() -> list[dict[str, Any]]:
    units = [_entry(dn, objectClass=["organizationalUnit"]) for dn in (BASE_DN, USERS_DN, GROUPS_DN)]
    people = [
        _entry(person.dn, person.password, objectClass=["inetOrgPerson"], uid=[person.uid], cn=[person.uid])
        for person in (ALICE, BOB)
    ]
    admin = _entry(ADMIN_DN, ADMIN_PASSWORD, cn=["admin"])
    group = _entry(f"cn=readers,{GROUPS_DN}", objectClass=["groupOfNames"], cn=["readers"], member=[ALICE.dn])
    return [*units, admin, *people, group]


def _entry(dn: str, password: str = "", **attributes: list[str]) -> dict[str, Any]:
    return {"dn": dn, "password": password, "attributes": attributes}
