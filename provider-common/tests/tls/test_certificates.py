"""What the certificate manager makes, when it replaces it, and that peers one step behind are never cut off."""

from __future__ import annotations

import ssl
import stat
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st
from provider_common.certificates import (
    CertFolder,
    CertificateError,
    CertificateManager,
    FolderStore,
    issue_ca,
    issue_leaf,
    service_hosts,
)

NAMES = {"ca.crt", "ca.key", "tls.crt", "tls.key", "client.crt", "client.key"}
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


class Clock:
    def __init__(self, now: datetime | None = None) -> None:
        self.now = now or datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


class Kept:
    """A store that counts."""

    def __init__(self, files: Mapping[str, bytes] | None = None) -> None:
        self.files = dict(files or {})
        self.writes: list[list[str]] = []

    def read(self) -> Mapping[str, bytes]:
        return dict(self.files)

    def write(self, files: Mapping[str, bytes]) -> None:
        self.writes.append(list(files))
        self.files.update(files)


def manager(
    store: Kept | FolderStore, clock: Clock, hosts: tuple[str, ...] = ("localhost",)
) -> CertificateManager:
    return CertificateManager(store, hosts=hosts, clock=clock)


def serial(pem: bytes) -> int:
    return x509.load_pem_x509_certificate(pem).serial_number


def cas(files: Mapping[str, bytes]) -> int:
    return files["ca.crt"].count(b"BEGIN CERTIFICATE")


def test_an_empty_folder_gets_all_six_files_and_keys_are_private(tmp_path: Path) -> None:
    """The names are those that Go servers and cores read."""
    done = manager(FolderStore(tmp_path / "new"), Clock()).ensure()

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "new").iterdir()}
    assert set(modes) == NAMES
    assert {name for name, mode in modes.items() if mode == 0o600} == {"ca.key", "tls.key", "client.key"}
    assert done.changes == ("made a CA", "issued the server certificate", "issued the client certificate")


def test_a_second_call_changes_nothing() -> None:
    """It is called at every start and by a timer."""
    store, clock = Kept(), Clock()
    manager(store, clock).ensure()

    again = manager(store, clock).ensure()

    assert again.changes == ()
    assert len(store.writes) == 1


def test_the_next_check_is_when_the_leaves_are_due() -> None:
    """Whoever sleeps until then misses nothing, and does not wake up for nothing."""
    clock = Clock()
    done = manager(Kept(), clock).ensure()

    assert done.next_check - clock.now == pytest.approx(335 * DAY, abs=HOUR)


def test_hosts_are_what_the_server_certificate_carries() -> None:
    """A client verifies nothing but these names."""
    store = Kept()
    manager(store, Clock(), service_hosts("provider-aws", "eso")).ensure()

    names = x509.load_pem_x509_certificate(store.files["tls.crt"]).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert names.value.get_values_for_type(x509.DNSName) == [
        "provider-aws",
        "provider-aws.eso",
        "provider-aws.eso.svc",
        "provider-aws.eso.svc.cluster.local",
    ]


def test_a_new_host_gets_a_new_server_certificate_only() -> None:
    """A Service was renamed; clients keep what they have."""
    store, clock = Kept(), Clock()
    manager(store, clock).ensure()

    done = manager(store, clock, ("localhost", "provider-x")).ensure()

    assert done.changes == ("issued the server certificate",)
    assert store.writes[-1] == ["tls.key", "tls.crt"]


def test_leaves_are_replaced_before_they_end_by_the_same_ca() -> None:
    """Thirty days before: time enough to repair what keeps it from working."""
    store, clock = Kept(), Clock()
    manager(store, clock).ensure()
    ca = store.files["ca.crt"]
    clock.now += 336 * DAY

    done = manager(store, clock).ensure()

    assert done.changes == ("issued the server certificate", "issued the client certificate")
    assert store.files["ca.crt"] == ca


def test_a_ca_is_announced_then_signs_then_the_old_one_is_retired() -> None:
    """The three steps that make a new CA harmless, an overlap apart. `next_check` leads from one to the next."""
    store, clock = Kept(), Clock()
    next_check = manager(store, clock).ensure().next_check
    steps: list[tuple[tuple[str, ...], int]] = []
    while len(steps) < 3:
        clock.now = next_check
        done = manager(store, clock).ensure()
        next_check = done.next_check
        if "announced a new CA" in done.changes or steps:
            steps.append((done.changes, cas(store.files)))

    assert steps == [
        (("announced a new CA",), 2),
        (("issued the server certificate", "issued the client certificate"), 2),
        (("retired the old CA",), 1),
    ]


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param({"ca.crt": b""}, id="CA empty"),
        pytest.param({"ca.crt": b"-----BEGIN CERTIFICATE-----\nAAAA\n"}, id="CA cut off"),
        pytest.param({"tls.crt": b"", "client.crt": b""}, id="leaves empty"),
        pytest.param({"tls.key": b"garbage", "client.key": b"garbage"}, id="keys garbage"),
    ],
)
def test_damaged_files_are_made_anew_at_once(spoil: dict[str, bytes]) -> None:
    """Nothing works with them, so there is nothing to be careful about."""
    store, clock = Kept(), Clock()
    manager(store, clock).ensure()
    store.files.update(spoil)

    manager(store, clock).ensure()

    assert handshake(store.files, store.files) == "ok"


def test_a_lost_ca_key_is_no_reason_to_replace_what_works() -> None:
    """It shows when something has to be signed; then a new CA is announced, and the leaves wait for it."""
    store, clock = Kept(), Clock()
    manager(store, clock).ensure()
    leaf = store.files["tls.crt"]
    del store.files["ca.key"]

    assert manager(store, clock).ensure().changes == ()

    clock.now += 336 * DAY
    assert manager(store, clock).ensure().changes == ("announced a new CA",)
    assert store.files["tls.crt"] == leaf

    clock.now += 2 * HOUR
    assert manager(store, clock).ensure().changes == (
        "issued the server certificate",
        "issued the client certificate",
    )
    assert cas(store.files) == 2


def test_what_the_go_controller_made_is_kept_as_long_as_it_is_good(go_made: CertFolder) -> None:
    """The two can follow each other on one Secret, and nothing is replaced without need."""
    before = FolderStore(go_made.path).read()

    done = manager(FolderStore(go_made.path), Clock()).ensure()

    assert done.changes == ()
    assert FolderStore(go_made.path).read() == before


def test_what_the_go_controller_made_is_taken_over_with_an_overlap_when_it_is_due(
    go_made: CertFolder,
) -> None:
    """Its CA has serial number 0, with which nothing can be signed here, so the CA changes with the leaves."""
    clock = Clock(datetime.now(UTC) + timedelta(days=3650 - 20))
    store = Kept(FolderStore(go_made.path).read())
    first = manager(store, clock).ensure()
    kept = dict(store.files)
    clock.now = first.next_check
    second = manager(store, clock).ensure()
    clock.now += 2 * HOUR
    third = manager(store, clock).ensure()

    assert first.changes == ("announced a new CA",)
    assert kept["ca.crt"].startswith(go_made.ca_file.read_bytes().strip())
    assert second.changes == ("issued the server certificate", "issued the client certificate")
    assert third.changes == ("retired the old CA",)


def handshake(server: Mapping[str, bytes], client: Mapping[str, bytes]) -> str:
    """What comes of it when a server with these files meets a client with those: `ok`, or the reason of the failure."""
    with tempfile.TemporaryDirectory() as folder:
        for side, files in (("server", server), ("client", client)):
            Path(folder, side).mkdir()
            for name, content in files.items():
                Path(folder, side, name).write_bytes(content)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(Path(folder, "server", "ca.crt"))
        context.load_cert_chain(Path(folder, "server", "tls.crt"), Path(folder, "server", "tls.key"))
        asking = ssl.create_default_context(cafile=Path(folder, "client", "ca.crt"))
        asking.load_cert_chain(Path(folder, "client", "client.crt"), Path(folder, "client", "client.key"))
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        asking.wrap_bio(to_client, to_server, server_hostname="localhost"),
        context.wrap_bio(to_server, to_client, server_side=True),
    )
    for _ in range(3):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError as error:
                return error.reason
    return "ok"


def quick(store: Kept, clock: Clock, *, leaf_hours: int = 8, ca_hours: int = 3) -> CertificateManager:
    """Leaves and CA are due after hours, while everything stays valid for days."""
    return CertificateManager(
        store,
        hosts=("localhost",),
        validity=10 * DAY,
        renew_before=10 * DAY - leaf_hours * HOUR,
        ca_validity=10 * DAY + 2 * HOUR + ca_hours * HOUR,
        overlap=HOUR,
        clock=clock,
    )


def test_the_ca_that_signs_comes_first_in_both_files() -> None:
    """Who reads one certificate and one key only (the Go side does) has to find those in use, and a pair."""
    clock, store = Clock(datetime.now(UTC) - DAY), Kept()
    quick(store, clock).ensure()
    first = dict(store.files)
    clock.now += 3 * HOUR
    assert quick(store, clock).ensure().changes == ("announced a new CA",)
    announced = dict(store.files)
    clock.now += HOUR
    quick(store, clock).ensure()

    for name in ("ca.crt", "ca.key"):
        old, new = first[name], announced[name].removeprefix(first[name])
        assert announced[name] == old + new
        assert store.files[name] == new + old


def test_a_leaf_that_is_lost_while_a_ca_is_announced_is_signed_by_the_old_one() -> None:
    """Not everybody knows the new one yet."""
    clock, store = Clock(datetime.now(UTC) - DAY), Kept()
    quick(store, clock).ensure()
    peer_that_knows_nothing = dict(store.files)
    clock.now += 3 * HOUR
    assert quick(store, clock).ensure().changes == ("announced a new CA",)
    del store.files["client.crt"]

    done = quick(store, clock).ensure()

    assert done.changes == ("issued the client certificate",)
    assert handshake(peer_that_knows_nothing, store.files) == "ok"


@settings(max_examples=15, deadline=None)
@given(
    leaf_hours=st.integers(2, 8),
    ca_hours=st.integers(1, 8),
    strides=st.lists(st.integers(10, 90), min_size=10, max_size=25),
)
def test_a_peer_that_is_one_step_behind_can_always_talk(
    leaf_hours: int, ca_hours: int, strides: list[int]
) -> None:
    """Whatever the manager did last, a server or a client that has not seen it yet is still understood: that is all
    that a rotation without a failed call needs. (OpenSSL verifies by the real clock, so all of it happens yesterday.)"""
    clock, store = Clock(datetime.now(UTC) - 2 * DAY), Kept()
    subject = quick(store, clock, leaf_hours=leaf_hours, ca_hours=ca_hours)
    subject.ensure()
    seen = [dict(store.files)]
    for minutes in strides:
        clock.now += timedelta(minutes=minutes)
        if subject.ensure().changes:
            seen.append(dict(store.files))

    assert [handshake(each, each) for each in seen] == ["ok"] * len(seen)
    assert {handshake(old, new) for old, new in pairwise(seen)} <= {"ok"}
    assert {handshake(new, old) for old, new in pairwise(seen)} <= {"ok"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param({"hosts": ()}, "at least one host", id="no host"),
        pytest.param({"renew_before": 365 * DAY}, "less than validity", id="renewed all the time"),
        pytest.param(
            {"ca_validity": 300 * DAY}, "ca_validity must be longer", id="CA ends before its leaves"
        ),
    ],
)
def test_times_that_do_not_fit_are_refused(arguments: dict[str, object], said: str) -> None:
    """Else it would issue certificates at every call, or let them end."""
    with pytest.raises(ValueError, match=said):
        CertificateManager(Kept(), **{"hosts": ("localhost",), **arguments})  # type: ignore[arg-type]


def test_a_leaf_never_outlives_its_ca() -> None:
    """A leaf of an ended CA fails without any sign of it in its own dates."""
    ca = issue_ca(validity=10 * DAY)
    leaf = issue_leaf(ca, usage="client", validity=365 * DAY)

    ends = [x509.load_pem_x509_certificate(pair.certificate).not_valid_after_utc for pair in (ca, leaf)]
    assert ends[0] == ends[1]


def test_a_server_leaf_without_a_host_is_refused() -> None:
    """No client could verify it."""
    with pytest.raises(CertificateError, match="at least one host name"):
        issue_leaf(issue_ca(), usage="server")


def test_keys_do_not_show_in_a_repr() -> None:
    """Objects end up in logs and assertion messages."""
    ca = issue_ca()

    assert "PRIVATE" not in f"{ca!r} {ca} {ca.key}"


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk must not leave half a key."""
    store = FolderStore(tmp_path)
    store.write({"tls.key": b"old"})

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        store.write({"tls.key": b"new"})

    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"tls.key": b"old"}
