"""The command line of every provider: `serve`, `crds`, `rbac`, `certs`, `version`.

`serve(...)` is what an author calls; flags and environment are read once, here, into one frozen config.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from provider_common import _logging
from provider_common._tls import TlsError
from provider_common.catalog import Catalog
from provider_common.context import remaining
from provider_common.durations import parse_duration
from provider_common.errors import ProviderError
from provider_common.kube import KubeReader
from provider_common.server import LAST_PORT, KindClass, Server, ServerConfig

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Setting:
    """One setting: its flag, its environment variables, and how its text becomes a value."""

    field: str
    flag: str
    env: tuple[str, ...]
    parse: Callable[[str], Any]
    help: str
    metavar: str


def _boolean(text: str) -> bool:
    if text.lower() not in {"true", "false", "1", "0"}:
        raise ValueError(f"{text!r} has to be true or false")
    return text.lower() in {"true", "1"}


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{text[:40]!r} has to be a whole number") from None


def _port(text: str) -> int:
    if text.startswith("tcp://"):
        raise ValueError(
            f"{text[:40]!r} is what Kubernetes sets for a Service of that name: give the pod enableServiceLinks: false"
        )
    number = _number(text)
    if not 0 <= number <= LAST_PORT:
        raise ValueError(f"{text[:40]!r} is no port: it has to be a number from 0 to {LAST_PORT}")
    return number


_SETTINGS = (
    _Setting("host", "--host", ("ESO_PROVIDER_HOST",), str, "address of the gRPC endpoint", "ADDRESS"),
    _Setting(
        "port",
        "--port",
        ("ESO_PROVIDER_PORT",),
        _port,
        "port of the gRPC endpoint; 0 takes a free one",
        "PORT",
    ),
    _Setting(
        "http_host",
        "--http-host",
        ("ESO_PROVIDER_HTTP_HOST",),
        str,
        "address of /metrics and /healthz",
        "ADDRESS",
    ),
    _Setting(
        "http_port",
        "--http-port",
        ("ESO_PROVIDER_HTTP_PORT",),
        _port,
        "port of /metrics and /healthz",
        "PORT",
    ),
    _Setting(
        "tls",
        "--enable-tls",
        ("ESO_PROVIDER_ENABLE_TLS",),
        _boolean,
        "false serves plaintext to everyone: for development only",
        "BOOL",
    ),
    _Setting(
        "tls_dir", "--tls-dir", ("TLS_CERT_DIR",), Path, "folder of the certificates and the key", "DIR"
    ),
    _Setting(
        "ca_file", "--ca-file", ("TLS_CA_CERT_FILE",), str, "name of the CA file in that folder", "NAME"
    ),
    _Setting("cert_file", "--cert-file", ("TLS_CERT_FILE",), str, "name of the certificate file", "NAME"),
    _Setting("key_file", "--key-file", ("TLS_KEY_FILE",), str, "name of the key file", "NAME"),
    _Setting(
        "threads",
        "--threads",
        ("ESO_PROVIDER_THREADS",),
        _number,
        "threads for calls; up to as many again stand in for calls whose backend hangs",
        "N",
    ),
    _Setting(
        "max_queued",
        "--max-queued",
        ("ESO_PROVIDER_MAX_QUEUED",),
        _number,
        "calls that may wait for a thread",
        "N",
    ),
    _Setting(
        "read_window",
        "--read-window",
        ("ESO_PROVIDER_READ_WINDOW",),
        parse_duration,
        "how long one read serves further reads of the same object; 0s turns it off",
        "DURATION",
    ),
    _Setting(
        "check_credentials_after",
        "--check-credentials-after",
        ("ESO_PROVIDER_CHECK_CREDENTIALS_AFTER",),
        parse_duration,
        "how long credentials are used before their Secrets are read again",
        "DURATION",
    ),
    _Setting(
        "max_stores", "--max-stores", ("ESO_PROVIDER_MAX_STORES",), _number, "stores that are kept open", "N"
    ),
    _Setting(
        "max_idle",
        "--max-idle",
        ("ESO_PROVIDER_MAX_IDLE",),
        parse_duration,
        "how long an unused store is kept",
        "DURATION",
    ),
    _Setting(
        "drain",
        "--drain",
        ("ESO_PROVIDER_DRAIN",),
        parse_duration,
        "time for calls in flight after SIGTERM",
        "DURATION",
    ),
)


def serve(
    *kinds: KindClass,
    name: str = "",
    version: str = "",
    argv: Sequence[str] | None = None,
    environ: Mapping[str, str] | None = None,
) -> None:
    """Run the command line of a provider that serves `kinds`: `serve`, `crds`, `rbac`, `certs`, `version`.

    `name` is the distribution's name, `argv` and `environ` default to the process's own. Exits the process: 0 after a drain,
    1 when it can't serve, 2 for a wrong command line.
    """
    title = name or Path(sys.argv[0]).stem or "provider"
    environ = os.environ if environ is None else environ
    parser = _parser(title, environ)
    words = list(sys.argv[1:] if argv is None else argv)
    if words == ["--version"]:
        words = ["version"]
    if words and words[0].startswith("-") and words[0] not in {"-h", "--help"}:
        # The Go providers have no commands: what a chart passes them are flags alone.
        words.insert(0, "serve")
    arguments = parser.parse_args(words)
    try:
        sys.exit(arguments.run(arguments, _Provider(kinds, title, version), environ))
    except (ProviderError, TlsError, OSError, ValueError) as error:
        _fail(f"{title}: {error}")


@dataclass(frozen=True, slots=True)
class _Provider:
    kinds: tuple[KindClass, ...]
    name: str
    version: str


def _fail(text: str) -> NoReturn:
    sys.stderr.write(f"{text}\n")
    sys.exit(1)


def _parser(name: str, environ: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=name, description="An out-of-tree secret provider for External Secrets Operator."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser(
        "serve",
        help="serve the provider",
        description="Serve the provider over gRPC with mutual TLS. A flag can be given by the environment variable "
        "named beside it, and wins over it.",
    )
    source = command.add_argument_group("where configuration objects and credentials are read")
    source.add_argument(
        "--manifests",
        type=Path,
        default=environ.get("ESO_PROVIDER_MANIFESTS") or None,
        metavar="DIR",
        help="a folder of YAML manifests, instead of a cluster (ESO_PROVIDER_MANIFESTS)",
    )
    source.add_argument(
        "--kubeconfig",
        type=Path,
        default=environ.get("KUBECONFIG") or None,
        metavar="FILE",
        help="kubeconfig of the cluster (KUBECONFIG); in a pod its ServiceAccount is used",
    )
    settings = command.add_argument_group("settings")
    defaults = ServerConfig()
    for setting in _SETTINGS:
        # A switch alone means true, as in Go.
        switch: dict[str, Any] = {"nargs": "?", "const": True} if setting.parse is _boolean else {}
        settings.add_argument(
            setting.flag,
            dest=setting.field,
            type=_typed(setting.parse),
            metavar=setting.metavar,
            help=f"{setting.help} ({setting.env[0]}; default: {_shown(getattr(defaults, setting.field))})",
            **switch,
        )
    command.add_argument(
        "--verbose",
        type=_typed(_boolean),
        nargs="?",
        const=True,
        metavar="BOOL",
        help="log every decision (ESO_PROVIDER_VERBOSE)",
    )
    command.add_argument(
        "--log-format",
        choices=("json", "text"),
        default="json",
        help="how the log is written (default: json)",
    )
    command.add_argument(
        "--ready-file",
        type=Path,
        metavar="FILE",
        help="written with the bound ports as JSON once the provider serves",
    )
    command.add_argument(
        "--exit-with-parent", action="store_true", help="stop when the process that started this one ends"
    )
    command.set_defaults(run=_serve)

    command = commands.add_parser(
        "crds", help="print the CustomResourceDefinitions", description="Print the CRDs as YAML."
    )
    command.add_argument(
        "--aliases", action="store_true", help="also those of the other names that the kinds go by"
    )
    command.set_defaults(run=_crds)

    command = commands.add_parser(
        "rbac",
        help="print the least that the provider has to be allowed in a cluster",
        description="Print a ServiceAccount, its ClusterRoles and their bindings as YAML.",
    )
    command.add_argument(
        "--service-account",
        required=True,
        metavar="NAME.NAMESPACE",
        help="the account that the provider's pods run as",
    )
    command.add_argument(
        "--credentials-in",
        action="append",
        default=[],
        metavar="NAMESPACE",
        help="where Secrets and other credentials may be read; may be repeated (default: everywhere)",
    )
    command.set_defaults(run=_rbac)

    command = commands.add_parser(
        "certs",
        help="make or renew certificates in a folder",
        description="Make a CA, a server and a client certificate in a folder, or renew those that end soon. Run it again "
        "at any time: what is still good stays.",
    )
    command.add_argument("--out", type=Path, required=True, metavar="DIR", help="the folder")
    command.add_argument(
        "--host",
        action="append",
        default=[],
        metavar="NAME",
        help="a name or address of the server; may be repeated",
    )
    command.add_argument(
        "--service", metavar="NAME.NAMESPACE", help="a Kubernetes Service, for all of its names"
    )
    command.set_defaults(run=_certs)

    command = commands.add_parser("version", help="print the version", description="Print the version.")
    command.add_argument("--json", action="store_true", help="with contract versions and kinds, as JSON")
    command.set_defaults(run=_version)
    return parser


def _typed(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    def checked(text: str) -> Any:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return checked


def _config(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ServerConfig:
    values: dict[str, Any] = {}
    for setting in _SETTINGS:
        value = getattr(arguments, setting.field)
        for variable in setting.env if value is None else ():
            if environ.get(variable):
                value = _from_environment(environ, variable, setting.parse)
        if value is not None:
            values[setting.field] = value
    return ServerConfig(**values)


def _from_environment(environ: Mapping[str, str], variable: str, parse: Callable[[str], Any]) -> Any:
    try:
        return parse(environ[variable])
    except ValueError as error:
        raise ValueError(f"{variable}: {error}") from None


def _serve(arguments: argparse.Namespace, provider: _Provider, environ: Mapping[str, str]) -> int:
    verbose = arguments.verbose
    if verbose is None and environ.get("ESO_PROVIDER_VERBOSE"):
        verbose = _from_environment(environ, "ESO_PROVIDER_VERBOSE", _boolean)
    _logging.configure(level="DEBUG" if verbose else "INFO", fmt=arguments.log_format)
    config = _config(arguments, environ)
    if arguments.ready_file is not None:
        _check_ready_file(arguments.ready_file)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    parent = os.getppid()
    server = Server(
        *provider.kinds, kube=_reader(arguments), name=provider.name, version=provider.version, config=config
    )
    with server:
        announced = arguments.ready_file is None
        while not stop.wait(0.01 if not announced else 1.0):
            if not announced and server.serving:
                _announce(arguments.ready_file, server)
                announced = True
            if arguments.exit_with_parent and os.getppid() != parent:
                _log.info("the parent process ended")
                break
        _log.info("draining: calls in flight have %g s", config.drain)
    for number in (signal.SIGTERM, signal.SIGINT):
        # All is done. Python puts back what kills at its very end, and one more signal would turn success into a failure.
        signal.signal(number, signal.SIG_IGN)
    if server.calls_left:
        # Threads can't be interrupted, and Python waits for its threads: it would wait for ever.
        _log.warning("stopped, without %d calls whose backend does not answer", server.calls_left)
        logging.shutdown()
        os._exit(0)
    _log.info("stopped")
    return 0


def _reader(arguments: argparse.Namespace) -> KubeReader:
    if arguments.manifests is not None:
        from provider_common._kube_folder import FolderReader

        if not Path(arguments.manifests).is_dir():
            raise ValueError(f"--manifests {arguments.manifests}: there is no such folder")
        return FolderReader(Path(arguments.manifests), timeout=remaining)
    # The client is heavy, and only this branch needs it.
    from provider_common._kube_cluster import ClusterReader

    return ClusterReader(kubeconfig=arguments.kubeconfig, timeout=remaining)


def _check_ready_file(path: Path) -> None:
    """Find out now, and not when the server is up and somebody waits for the file."""
    if path.is_dir():
        raise ValueError(f"--ready-file {path}: this is a folder, give the name of a file")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        reason = "may not be written to" if path.parent.is_dir() else "is not there"
        raise ValueError(f"--ready-file {path}: the folder {path.parent} {reason}")


def _announce(path: Path, server: Server) -> None:
    """Write the ready file whole or not at all: somebody is waiting to read it."""
    content = {"port": server.port, "http_port": server.http_port, "pid": os.getpid()}
    with tempfile.NamedTemporaryFile(
        "w", dir=path.parent, prefix=path.name, delete=False, encoding="utf-8"
    ) as file:
        json.dump(content, file)
    Path(file.name).replace(path)


def _crds(arguments: argparse.Namespace, provider: _Provider, _environ: Mapping[str, str]) -> int:
    from provider_common.crd import crds_yaml

    sys.stdout.write(crds_yaml(*provider.kinds, aliases=arguments.aliases))
    return 0


def _rbac(arguments: argparse.Namespace, provider: _Provider, _environ: Mapping[str, str]) -> int:
    from provider_common.crd import manifests_yaml
    from provider_common.rbac import rbac_manifests

    account, namespace = _name_and_namespace("--service-account", arguments.service_account)
    made = rbac_manifests(
        *provider.kinds,
        name=provider.name,
        account=account,
        namespace=namespace,
        credentials_in=arguments.credentials_in,
    )
    sys.stdout.write(manifests_yaml(made))
    return 0


def _name_and_namespace(flag: str, text: str) -> tuple[str, str]:
    name, _, namespace = text.partition(".")
    if not (name and namespace):
        raise ValueError(f"{flag} {text!r} has to be NAME.NAMESPACE")
    return name, namespace


def _certs(arguments: argparse.Namespace, _provider: _Provider, _environ: Mapping[str, str]) -> int:
    from provider_common.certificates import CertificateManager, FolderStore, service_hosts

    hosts = list(arguments.host)
    if arguments.service:
        hosts += service_hosts(*_name_and_namespace("--service", arguments.service))
    manager = CertificateManager(FolderStore(arguments.out), hosts=hosts or ["localhost", "127.0.0.1"])
    try:
        done = manager.ensure()
    except OSError as error:
        raise ValueError(
            f"--out {arguments.out}: certificates can't be kept there ({error.strerror})"
        ) from None
    sys.stdout.write(f"{done}\n")
    return 0


def _version(arguments: argparse.Namespace, provider: _Provider, _environ: Mapping[str, str]) -> int:
    from provider_common._wire.versions import SPOKEN
    from provider_common.server import installed_version

    version = provider.version or installed_version(provider.name)
    if not arguments.json:
        sys.stdout.write(f"{provider.name} {version} (contract {SPOKEN[0]})\n")
        return 0
    kinds = [
        {"role": kind.role, "apiVersion": kind.api_version, "kind": kind.kind, "aliasOf": kind.alias_of}
        for kind in Catalog(*provider.kinds)
    ]
    content = {"name": provider.name, "version": version, "contractVersions": SPOKEN, "kinds": kinds}
    sys.stdout.write(json.dumps(content, indent=2) + "\n")
    return 0


def _shown(default: Any) -> str:
    """A default as one would write it."""
    if isinstance(default, bool):
        return str(default).lower()
    return f"{default:g}s" if isinstance(default, float) else str(default)


def settings_table() -> str:
    """Every setting of `serve` as a Markdown table, for the docs."""
    defaults = ServerConfig()
    rows = ["| flag | environment | default | meaning |", "|---|---|---|---|"]
    for setting in _SETTINGS:
        text = _shown(getattr(defaults, setting.field))
        rows.append(
            f"| `{setting.flag} {setting.metavar}` | `{', '.join(setting.env)}` | `{text}` | {setting.help} |"
        )
    return "\n".join(rows)


__all__ = ["serve", "settings_table"]
