"""Transport: who may connect, with which TLS, and what happens when certificates change."""

from __future__ import annotations

import contextlib
import datetime as dt
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import grpc
from cryptography import x509

from provider_conformance.client import Client, Code
from provider_conformance.judge import ServerJudge
from provider_conformance.registry import check
from provider_conformance.tls import Authority, Handshake, Pair, can_speak, handshake
from provider_conformance.verdict import Failed, NotRun

RELOAD_SECONDS = 15.0

PATIENCE = 20.0
"""A refusal takes milliseconds; on a slow machine it may take its time."""


def _must_not_serve(judge: ServerJudge, credentials: grpc.ChannelCredentials | None, who: str) -> None:
    """Fails when the server serves a caller with these credentials (None: plaintext)."""
    judge.client.call(judge.harmless()).ok("a good caller is served, so that a refusal means something")
    kwargs = {"plaintext": True} if credentials is None else {"credentials": credentials}
    with judge.session.connection(**kwargs) as client:
        answer = client.call(judge.harmless(), timeout=PATIENCE)
    if answer.code not in {Code.UNAVAILABLE, Code.UNAUTHENTICATED}:
        raise Failed(f"{who} has to be refused by TLS, but got {answer.said()}")


def _bad_pair(judge: ServerJudge, name: str, starts_in: dt.timedelta, ends_in: dt.timedelta) -> Pair:
    ready = judge.session.tls.bad.get(name)
    if ready is not None:
        return Pair(*ready)
    if judge.session.tls.ca_key is None:
        raise NotRun(
            f"not reachable: needs the CA's key (tls.ca_key) or a ready-made certificate (tls.bad.{name})"
        )
    return judge.session.authority().issue("conformance", starts_in=starts_in, ends_in=ends_in)


def _shake(judge: ServerJudge, **kwargs: object) -> Handshake:
    tls = judge.session.tls
    return handshake(
        (judge.target.host, judge.target.port),
        ca=tls.ca,
        pair=Pair(tls.cert, tls.key),
        server_name=judge.session.server_name,
        **kwargs,  # type: ignore[arg-type]
    )


@check(
    "transport.client-certificate-demanded",
    area="transport",
    profile="core",
    role="server",
    contract=("TLS-1",),
)
def client_certificate_demanded(judge: ServerJudge) -> None:
    """A caller without a client certificate is not served.

    If this fails: everybody who reaches the port reads every secret that any store can read.
    Likely cause: the server verifies a certificate if there is one, and does not demand it.
    Fix: demand client authentication (grpcio: require_client_authentication=True; Go: tls.RequireAndVerifyClientCert).
    """
    judge.session.tls  # noqa: B018 - raises NotRun for a plaintext target
    _must_not_serve(judge, judge.session.credentials(anonymous=True), "a caller without a certificate")


@check("transport.plaintext-refused", area="transport", profile="core", role="server", contract=("TLS-1",))
def plaintext_refused(judge: ServerJudge) -> None:
    """A caller without TLS is not served.

    If this fails: secrets cross the network in the clear, and anybody can ask for them.
    Likely cause: an insecure port, or a development flag, is on beside the TLS port.
    Fix: serve on the TLS port only; make plaintext an explicit flag that is off by default.
    """
    judge.session.tls  # noqa: B018 - raises NotRun for a plaintext target
    _must_not_serve(judge, None, "a plaintext caller")


@check("transport.wrong-ca-refused", area="transport", profile="core", role="server", contract=("TLS-2",))
def wrong_ca_refused(judge: ServerJudge) -> None:
    """A client certificate of another CA is refused.

    If this fails: anybody who can make a certificate reads secrets.
    Likely cause: the client's certificate is requested and not verified.
    Fix: verify the client's chain against ca.crt.
    """
    pair = Authority.make().issue("external-secrets-controller")
    _must_not_serve(judge, judge.session.credentials(pair), "a client certificate of an unknown CA")


@check("transport.lookalike-ca-refused", area="transport", role="server", contract=("TLS-2",))
def lookalike_ca_refused(judge: ServerJudge) -> None:
    """A client certificate of a CA that only has the same name is refused.

    If this fails: trust hangs on a name that anybody can write into a certificate.
    Likely cause: the issuer's name is compared, and not its signature.
    Fix: leave the verification of the chain to the TLS library.
    """
    pair = Authority.make(like=judge.session.tls.ca).issue("external-secrets-controller")
    _must_not_serve(judge, judge.session.credentials(pair), "a client certificate of a CA with the same name")


@check("transport.expired-refused", area="transport", profile="core", role="server", contract=("TLS-3",))
def expired_refused(judge: ServerJudge) -> None:
    """An expired client certificate is refused.

    If this fails: a certificate that leaked years ago still opens every store.
    Likely cause: a verification callback of the server's own that does not look at the dates.
    Fix: leave the verification of the chain to the TLS library.
    """
    pair = _bad_pair(judge, "expired", -dt.timedelta(days=2), -dt.timedelta(hours=1))
    _must_not_serve(judge, judge.session.credentials(pair), "an expired client certificate")


@check("transport.not-yet-valid-refused", area="transport", role="server", contract=("TLS-3",))
def not_yet_valid_refused(judge: ServerJudge) -> None:
    """A client certificate that is not valid yet is refused.

    If this fails: the validity period is not looked at as a whole.
    Likely cause: only the end date is compared.
    Fix: leave the verification of the chain to the TLS library.
    """
    pair = _bad_pair(judge, "not-yet-valid", dt.timedelta(days=1), dt.timedelta(days=2))
    _must_not_serve(judge, judge.session.credentials(pair), "a client certificate of tomorrow")


@check("transport.old-tls-refused", area="transport", profile="core", role="server", contract=("TLS-4",))
def old_tls_refused(judge: ServerJudge) -> None:
    """TLS 1.1 and older are refused.

    If this fails: an attacker in the middle can force a version with known breaks.
    Likely cause: the minimum version was lowered for an old peer.
    Fix: set the minimum to TLS 1.2.
    """
    _shake(judge)
    spoken = [version for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1) if can_speak(version)]
    if not spoken:
        raise NotRun("not reachable: this Python's OpenSSL cannot speak TLS 1.0 or 1.1")
    for version in spoken:
        try:
            agreed = _shake(judge, at_most=version)
        except (ssl.SSLError, OSError):
            continue
        raise Failed(f"the server agreed on {agreed.version}")


@check("transport.tls12-and-13", area="transport", role="server", contract=("TLS-4",))
def tls12_and_13(judge: ServerJudge) -> None:
    """TLS 1.2 and TLS 1.3 are both served.

    If this fails: some cores cannot connect at all.
    Likely cause: the server is pinned to one version.
    Fix: set a minimum of TLS 1.2 and no maximum.
    """
    for version, name in ((ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (ssl.TLSVersion.TLSv1_3, "TLSv1.3")):
        try:
            agreed = _shake(judge, at_most=version)
        except (ssl.SSLError, OSError) as problem:
            raise Failed(f"no handshake with {name}: {problem}") from None
        if agreed.version != name:
            raise Failed(f"a caller that speaks {name} at most got {agreed.version}")


@check("transport.alpn-h2", area="transport", profile="core", role="server", contract=("TLS-5",))
def alpn_h2(judge: ServerJudge) -> None:
    """The server selects the protocol h2.

    If this fails: no Go core can connect: grpc-go hangs up on a server that does not select h2.
    Likely cause: a TLS layer in front, or a hand-made TLS context, without ALPN.
    Fix: offer `h2` in the server's ALPN list.
    """
    agreed = _shake(judge)
    if agreed.alpn != "h2":
        raise Failed(f"asked for h2, the server selected {agreed.alpn!r}")


@check("transport.server-name", area="transport", profile="core", role="server", contract=("TLS-6",))
def server_name(judge: ServerJudge) -> None:
    """The server's certificate carries the dialed host as a subject alternative name, and chains to the CA.

    If this fails: every core refuses the server, or verification gets switched off, which is worse.
    Likely cause: the name stands in the common name only, or the certificate is of another Service.
    Fix: issue it with DNS names for the Service: `svc`, `svc.ns`, `svc.ns.svc`, `svc.ns.svc.cluster.local`.
    """
    try:
        agreed = _shake(judge)
    except ssl.SSLCertVerificationError as problem:
        raise Failed(f"the server's certificate does not verify: {problem.verify_message}") from None
    try:
        agreed.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        raise Failed("the server's certificate has no subject alternative names") from None


@check("transport.many-connections", area="transport", role="server", contract=("TR-10",))
def many_connections(judge: ServerJudge) -> None:
    """Many connections at the same time are served alike.

    If this fails: a core with several replicas, or a pool, sees connections fail at random.
    Likely cause: a small limit on connections, or on handshakes under way.
    Fix: raise the limit, or remove it: connections are cheap, calls are what has to be bounded.
    """
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(judge.session.connection()) for _ in range(24)]
        pending = [client.send(judge.harmless()) for client in clients]
        for call in pending:
            call.answer().ok("one of 24 connections")


@contextlib.contextmanager
def _server_files(judge: ServerJudge) -> Iterator[Path]:
    """The server's certificate folder, put back afterwards as it was."""
    folder = judge.session.tls.rewrite_dir
    if folder is None:
        raise NotRun("not reachable: needs the server's certificate folder (tls.rewrite_dir)")
    judge.session.authority()
    before = {name: (folder / name).read_bytes() for name in ("ca.crt", "tls.crt", "tls.key")}
    try:
        yield folder
    finally:
        _write(folder, before)
        _until(
            judge, lambda: _serial(judge) == x509.load_pem_x509_certificate(before["tls.crt"]).serial_number
        )


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Each file is replaced as a whole; the key first, as a certificate without its key can't be used."""
    for name in sorted(files, reverse=True):
        part = folder / f".{name}.new"
        part.write_bytes(files[name])
        part.chmod(0o600)
        part.replace(folder / name)


def _serial(judge: ServerJudge) -> int | None:
    try:
        return _shake(judge).certificate.serial_number
    except (ssl.SSLError, OSError):
        return None


def _until(judge: ServerJudge, condition: object) -> bool:
    deadline = time.monotonic() + RELOAD_SECONDS
    while time.monotonic() < deadline:
        if condition():  # type: ignore[operator]
            return True
        judge.client.call(judge.harmless()).ok("a call on an open connection while certificates change")
        _pause()
    return False


def _pause() -> None:
    """Between two looks at what takes seconds, so that looking does not slow it down."""
    threading.Event().wait(0.1)


def _new_leaf(judge: ServerJudge, authority: Authority | None = None) -> Pair:
    names = tuple(dict.fromkeys((judge.session.server_name, judge.target.host, "localhost", "127.0.0.1")))
    return (authority or judge.session.authority()).issue("conformance-server", names=names, server=True)


def _try(client: Client, judge: ServerJudge) -> bool:
    return client.call(judge.harmless(), timeout=PATIENCE).code is Code.OK


@check("transport.leaf-reload", area="transport", role="server", contract=("TLS-7", "TLS-8"), disturbs=True)
def leaf_reload(judge: ServerJudge) -> None:
    """A new server certificate is used for new connections, without a restart and without a failed call.

    If this fails: every rotation of certificates is an outage, or ends in one when the old certificate expires.
    Likely cause: the files are read once, at start.
    Fix: look at the files at each handshake or every few seconds (grpcio: dynamic_ssl_server_credentials).
    """
    with _server_files(judge) as folder:
        leaf = _new_leaf(judge)
        serial = x509.load_pem_x509_certificate(leaf.cert).serial_number
        _write(folder, {"tls.crt": leaf.cert, "tls.key": leaf.key})
        if not _until(judge, lambda: _serial(judge) == serial):
            raise Failed(
                f"new connections still get the old certificate {RELOAD_SECONDS:.0f} s after the change"
            )


@check("transport.ca-reload", area="transport", role="server", contract=("TLS-8",), disturbs=True)
def ca_reload(judge: ServerJudge) -> None:
    """A CA that is added to ca.crt is trusted for new connections, and the old one still is.

    If this fails: a CA can only be replaced by restarting providers and cores at the same moment.
    Likely cause: only certificate and key are reloaded, or only the first certificate of ca.crt is read.
    Fix: reload ca.crt together with the leaf, and trust every certificate in it.
    """
    with _server_files(judge) as folder:
        newcomer = Authority.make("conformance-next-ca")
        credentials = judge.session.credentials(newcomer.issue("conformance"))
        _write(folder, {"ca.crt": judge.session.tls.ca + newcomer.pem})
        deadline = time.monotonic() + RELOAD_SECONDS
        while time.monotonic() < deadline:
            with judge.session.connection(credentials=credentials) as client:
                if _try(client, judge):
                    break
            _pause()
        else:
            raise Failed(f"a client of the added CA is still refused {RELOAD_SECONDS:.0f} s after the change")
        with judge.session.connection() as client:
            client.call(judge.harmless()).ok("a client of the old CA, which is still in ca.crt")


@check("transport.half-written-files", area="transport", role="server", contract=("TLS-9",), disturbs=True)
def half_written_files(judge: ServerJudge) -> None:
    """Certificate files that cannot be used change nothing: the server goes on with what it had.

    If this fails: the moment between two files being written, or a full disk, takes the provider down.
    Likely cause: new material is put to use without trying it first.
    Fix: load certificate, key and CA as one, check that they belong together, and keep the old ones otherwise.
    """
    with _server_files(judge) as folder:
        before = _serial(judge)
        for files in (
            {"tls.crt": b"-----BEGIN CERTIFICATE-----\nhalf"},
            {"tls.crt": _new_leaf(judge).cert},
            {"ca.crt": b""},
        ):
            whole = {name: (folder / name).read_bytes() for name in files}
            _write(folder, files)
            with judge.session.connection() as client:
                client.call(judge.harmless()).ok(f"a new connection while {', '.join(files)} cannot be used")
            if _serial(judge) != before:
                raise Failed("the certificate changed although the new files cannot be used")
            _write(folder, whole)
