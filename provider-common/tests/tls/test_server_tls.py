"""What `ServerTls` does with files that are missing, damaged, replaced or half replaced."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from provider_common import _tls
from provider_common._tls import ServerTls, TlsError, TlsFiles, client_credentials
from provider_common.certificates import CertFolder, issue_certs

Serve = Callable[[ServerTls], Any]
Until = Callable[[Callable[[], bool]], None]


def encrypt_key(certs: CertFolder) -> None:
    key = serialization.load_pem_private_key(certs.server_key.read_bytes(), None)
    certs.server_key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"phrase"),
        )
    )


def cut(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def swap(path: Path, other: Path) -> None:
    path.write_bytes(other.read_bytes())


def instead(path: Path, make: Callable[[Path], object]) -> None:
    path.unlink()
    make(path)


DAMAGES = {
    "the certificate is missing": (lambda c: c.server_cert.unlink(), "tls.crt is missing"),
    "the key is missing": (lambda c: c.server_key.unlink(), "tls.key is missing"),
    "the CA is missing": (lambda c: c.ca_file.unlink(), "ca.crt is missing"),
    "the certificate is cut off": (
        lambda c: cut(c.server_cert),
        "tls.crt can't be used: a PEM block is cut off",
    ),
    "the key is cut off": (lambda c: cut(c.server_key), "tls.key can't be used: a PEM block is cut off"),
    "the CA is cut off": (lambda c: cut(c.ca_file), "ca.crt can't be used: a PEM block is cut off"),
    "the certificate is empty": (
        lambda c: c.server_cert.write_bytes(b""),
        "tls.crt can't be used: it holds no PEM certificate",
    ),
    "the key is empty": (
        lambda c: c.server_key.write_bytes(b""),
        "tls.key can't be used: it holds no PEM private key",
    ),
    "the CA is empty": (
        lambda c: c.ca_file.write_bytes(b""),
        "ca.crt can't be used: it holds no PEM certificate",
    ),
    "the CA is garbage": (
        lambda c: c.ca_file.write_bytes(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        "ca.crt can't be used: it holds a certificate that can't be read",
    ),
    "the certificate is garbage": (
        lambda c: c.server_cert.write_bytes(
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
        ),
        "tls.crt can't be used: its certificate can't be read",
    ),
    "the key is garbage": (
        lambda c: c.server_key.write_bytes(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
        "tls.key can't be used: its private key can't be read",
    ),
    "the CA is a leaf": (lambda c: swap(c.ca_file, c.client_cert), "is not a CA"),
    "the key is of another certificate": (
        lambda c: swap(c.server_key, c.client_key),
        "tls.key does not belong to",
    ),
    "the certificate is a folder": (
        lambda c: instead(c.server_cert, Path.mkdir),
        "tls.crt can't be used: it is no file",
    ),
    "the CA is an endless device": (
        lambda c: instead(c.ca_file, lambda path: path.symlink_to("/dev/zero")),
        "ca.crt can't be used: it is no file",
    ),
    "the key is a pipe that nobody writes to": (
        lambda c: instead(c.server_key, os.mkfifo),
        "tls.key can't be used: it is no file",
    ),
    "the certificate is a huge file": (
        lambda c: os.truncate(c.server_cert, 2**40),
        "tls.crt can't be used: it has more than 4194304 bytes",
    ),
    "the key has a passphrase": (encrypt_key, "passphrase, which is not supported; remove it"),
}
damage = pytest.mark.parametrize(
    ("spoil", "said"), [pytest.param(*each, id=name) for name, each in DAMAGES.items()]
)


@damage
def test_a_server_does_not_start_with_unusable_files_and_says_which_and_why(
    certs: CertFolder, spoil: Callable[[CertFolder], None], said: str
) -> None:
    """This is what an operator reads first when a pod does not come up. Key material has no place in it."""
    material = certs.server_key.read_text().splitlines()[1]
    spoil(certs)

    with pytest.raises(TlsError) as refused:
        ServerTls(TlsFiles(certs.path))

    assert said in str(refused.value)
    assert str(certs.path) in str(refused.value)
    assert material not in str(refused.value)


@damage
def test_a_running_server_goes_on_with_what_it_had_when_the_files_get_unusable(
    certs: CertFolder, serve: Serve, until: Until, spoil: Callable[[CertFolder], None], said: str
) -> None:
    """Half a file is what a reader sees while somebody copies; no call may fail because of it."""
    told: list[tuple[bool, str]] = []
    client = client_credentials(certs.path)
    served = serve(
        ServerTls(TlsFiles(certs.path), on_reload=lambda ok, why: told.append((ok, why)), settle=0)
    )

    spoil(certs)

    until(lambda: served.call(client) == b"hello" and bool(told))
    assert served.call(client) == b"hello"
    assert (served.tls.reloads, served.tls.failed_reloads) == (0, 1)
    assert [ok for ok, _ in told] == [False]
    assert said in told[0][1]


def test_repaired_files_are_taken_up(certs: CertFolder, serve: Serve) -> None:
    """After a failed reload the server looks again as soon as a file changes."""
    told: list[bool] = []
    tls = ServerTls(TlsFiles(certs.path), on_reload=lambda ok, _: told.append(ok), settle=0)
    served = serve(tls)
    cut(certs.server_cert)
    tls.check()
    tls.check()
    assert told == [False]

    issue_certs(certs.path)

    assert served.call(client_credentials(certs.path)) == b"hello"
    assert told == [False, True]


def test_files_that_are_half_replaced_for_a_moment_are_no_failed_reload(
    certs: CertFolder, serve: Serve
) -> None:
    """An alert hangs on the count of failed reloads, and a key is always in place a moment before its certificate."""
    served = serve(ServerTls(TlsFiles(certs.path), settle=60))
    old_client = client_credentials(certs.path)
    new = certs.stranger()

    swap(certs.server_key, new.server_key)
    assert served.call(old_client) == b"hello"
    swap(certs.server_cert, new.server_cert)
    swap(certs.ca_file, new.ca_file)

    assert served.call(client_credentials(new.path)) == b"hello"
    assert (served.tls.reloads, served.tls.failed_reloads) == (1, 0)


def test_an_expired_certificate_does_not_replace_a_good_one(certs: CertFolder, serve: Serve) -> None:
    """A backup restored over the folder must not take the server down."""
    served = serve(ServerTls(TlsFiles(certs.path)))
    old = certs.expired()
    swap(certs.server_key, old.server_key)
    swap(certs.server_cert, old.server_cert)

    assert served.call(client_credentials(certs.path)) == b"hello"
    assert served.tls.reloads == 0


def test_an_expired_certificate_is_a_warning_at_start(
    certs: CertFolder, caplog: pytest.LogCaptureFixture
) -> None:
    """The clock of the node may be wrong, and a pod that does not start can't be repaired by new files."""
    with caplog.at_level(logging.WARNING):
        ServerTls(TlsFiles(certs.expired().path))

    assert "expired on" in caplog.text
    assert "clients will refuse it" in caplog.text


def test_good_certificates_give_no_warning(certs: CertFolder, caplog: pytest.LogCaptureFixture) -> None:
    """Else nobody reads the real ones."""
    ServerTls(TlsFiles(certs.path))

    assert caplog.text == ""


def no_names(certs: CertFolder) -> None:
    swap(certs.server_cert, certs.client_cert)
    swap(certs.server_key, certs.client_key)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        pytest.param(no_names, "has no subject alternative name", id="no names"),
        pytest.param(no_names, "is not for servers", id="for clients"),
        pytest.param(
            lambda c: swap(c.ca_file, c.stranger().ca_file), "was not issued by a CA in", id="other CA"
        ),
    ],
)
def test_what_clients_will_refuse_is_a_warning_at_start(
    certs: CertFolder, caplog: pytest.LogCaptureFixture, spoil: Callable[[CertFolder], None], said: str
) -> None:
    """The client only says that the handshake failed, so the server has to tell why."""
    spoil(certs)

    ServerTls(TlsFiles(certs.path))

    assert said in caplog.text


def test_what_the_go_controller_issues_gives_no_warning(
    go_made: CertFolder, caplog: pytest.LogCaptureFixture
) -> None:
    """A CA with serial number 0 can't be checked as an issuer; that is not the operator's fault."""
    ServerTls(TlsFiles(go_made.path))

    assert caplog.text == ""


def test_the_names_of_the_files_can_be_chosen(certs: CertFolder) -> None:
    """The environment of the Go server names files inside the folder."""
    certs.server_cert.rename(certs.path / "server.pem")
    certs.server_key.rename(certs.path / "server-key.pem")
    certs.ca_file.rename(certs.path / "clients.pem")
    files = TlsFiles(certs.path, ca_file="clients.pem", cert_file="server.pem", key_file="server-key.pem")

    tls = ServerTls(files)

    assert set(tls.expiry()) == {"clients.pem", "server.pem"}


def test_expiry_tells_when_the_files_in_use_end(certs: CertFolder) -> None:
    """Alerts compare this with the clock, so it has to be the moment in the certificate, also after a reload."""
    tls = ServerTls(TlsFiles(certs.path))
    in_a_year = datetime.now(UTC) + timedelta(days=365)

    assert tls.expiry()["tls.crt"] == pytest.approx(in_a_year.timestamp(), abs=600)
    assert tls.expiry()["ca.crt"] == pytest.approx(in_a_year.timestamp() + 9 * 365 * 86400, abs=3600)


def test_files_behind_a_moved_symlink_are_taken_up(certs: CertFolder, serve: Serve, tmp_path: Path) -> None:
    """A kubelet updates a mounted Secret by moving the link `..data`; the names that we read never change."""
    volume = tmp_path / "volume"
    volume.mkdir()
    certs.path.rename(volume / "..2026_first")
    new = issue_certs(volume / "..2026_second")
    (volume / "..data").symlink_to("..2026_first")
    for name in ("ca.crt", "tls.crt", "tls.key"):
        (volume / name).symlink_to(f"..data/{name}")
    served = serve(ServerTls(TlsFiles(volume)))

    (volume / "..data_tmp").symlink_to("..2026_second")
    (volume / "..data_tmp").rename(volume / "..data")

    assert served.call(client_credentials(new.path)) == b"hello"
    assert (served.tls.reloads, served.tls.failed_reloads) == (1, 0)


_watched: dict[str, list[str]] = {}


def _note(event: str, args: tuple[object, ...]) -> None:
    if event == "open" and isinstance(args[0], str | os.PathLike):
        path = str(os.fspath(args[0]))
        for folder, opened in _watched.items():
            if path.startswith(folder):
                opened.append(path)


@pytest.fixture(scope="module", autouse=True)
def _audit() -> None:
    # An audit hook stays for as long as the process lives; without a watched folder it does nothing.
    sys.addaudithook(_note)


@contextmanager
def opened_below(folder: Path) -> Iterator[list[str]]:
    """The files below `folder` that anybody in this process opens."""
    opened = _watched[str(folder)] = []
    try:
        yield opened
    finally:
        del _watched[str(folder)]


def test_a_handshake_reads_no_file_while_nothing_has_changed(certs: CertFolder, serve: Serve) -> None:
    """gRPC asks at every handshake; a server that read and parsed each time would be easy to keep busy."""
    served = serve(ServerTls(TlsFiles(certs.path)))
    client = client_credentials(certs.path)

    with opened_below(certs.path) as opened:
        for _ in range(5):
            served.call(client)

    assert opened == []


def test_a_change_is_read_once(certs: CertFolder, serve: Serve) -> None:
    """The twin of the test above: the files are looked at when there is something to see."""
    served = serve(ServerTls(TlsFiles(certs.path)))
    issue_certs(certs.path)
    client = client_credentials(certs.path)

    with opened_below(certs.path) as opened:
        for _ in range(5):
            served.call(client)

    assert sorted(Path(path).name for path in opened) == ["ca.crt", "tls.crt", "tls.key"]


def test_every_server_of_one_tls_follows_the_files(certs: CertFolder, serve: Serve) -> None:
    """gRPC takes "nothing new" as "keep yours": a change must not be used up by the first server that asks."""
    tls = ServerTls(TlsFiles(certs.path))
    first, second = serve(tls), serve(tls)

    issue_certs(certs.path)
    client = client_credentials(certs.path)

    assert first.call(client) == b"hello"
    assert second.call(client) == b"hello"


def test_a_client_waits_out_a_pair_that_is_being_replaced(
    certs: CertFolder, serve: Serve, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Key and certificate are two files, so there is a moment between them; a client has no older pair to go on with."""
    monkeypatch.setattr(_tls, "_PATIENCE", 60)  # as long as a busy machine needs
    served = serve(ServerTls(TlsFiles(certs.path)))
    client_key = certs.client_key.read_bytes()
    swap(certs.client_key, certs.server_key)
    answers: list[bytes] = []
    caller = threading.Thread(target=lambda: answers.append(served.call(client_credentials(certs.path))))

    with opened_below(certs.path) as opened:
        caller.start()
        until(lambda: opened.count(str(certs.client_key)) > 1)
        certs.client_key.write_bytes(client_key)
        caller.join(30)

    assert answers == [b"hello"]


def test_a_clients_missing_file_is_named(certs: CertFolder) -> None:
    """The core shows this text to its operator."""
    certs.client_key.unlink()

    with pytest.raises(TlsError, match=r"client\.key is missing"):
        client_credentials(certs.path)
