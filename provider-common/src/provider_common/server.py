"""`Server`: one provider's endpoint, as a context manager. Start, serve, drain, stop. `serve()` is the same by command line.

Threads, not asyncio: the client libraries of the backends block (docs/adr/0002).
"""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc

from provider_common import _reflection, _tls
from provider_common._admission import Admission
from provider_common._health import SERVICE as HEALTH_SERVICE
from provider_common._health import Health
from provider_common._http import HttpEndpoint, why_not
from provider_common._metrics import Metrics
from provider_common._stores import OpenStores
from provider_common._wire.generators import GeneratorServicer
from provider_common._wire.places import Places
from provider_common._wire.service import ProviderService, WorkerPool
from provider_common._wire.stores import SecretStoreServicer
from provider_common.auth import TokenCache
from provider_common.catalog import Catalog
from provider_common.context import SharedObjects, remaining
from provider_common.errors import InvalidSpecError
from provider_common.generator import GeneratorV2
from provider_common.kube import KubeReader
from provider_common.provider import ProviderV2

_log = logging.getLogger(__name__)

KindClass = type[ProviderV2[Any]] | type[GeneratorV2[Any]]

_RESERVED_THREADS = 8
"""Worker threads that no waiting call may hold: they answer from the cache, and refuse what is too much."""

_KEEPALIVE = (
    # A Go core pings every 10 s, also without calls; grpc's default would answer "too many pings" after 30 s.
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
    ("grpc.max_connection_idle_ms", 900_000),
    ("grpc.max_connection_age_ms", 1_800_000),
    ("grpc.max_connection_age_grace_ms", 300_000),
    ("grpc.keepalive_time_ms", 300_000),
    ("grpc.keepalive_timeout_ms", 60_000),
    ("grpc.max_receive_message_length", 4 * 1024 * 1024),
    ("grpc.max_metadata_size", 64 * 1024),
    # Two servers on one port would share its connections at random.
    ("grpc.so_reuseport", 0),
)


LAST_PORT = 65_535


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """Everything that can be set, read once. Times are in seconds."""

    host: str = "0.0.0.0"  # noqa: S104 - a pod serves its Service; mTLS decides who is heard
    port: int = 8080
    http_host: str = "0.0.0.0"  # noqa: S104
    http_port: int = 8081
    tls: bool = True
    """False is for development only: anyone who reaches the port gets every secret."""
    tls_dir: Path = Path("/etc/provider/certs")
    ca_file: str = "ca.crt"
    cert_file: str = "tls.crt"
    key_file: str = "tls.key"
    threads: int = 128
    """For calls that may wait for a backend. Up to as many again stand in for those that hang."""
    max_queued: int = 2000
    read_window: float = 1.0
    check_credentials_after: float = 10.0
    max_stores: int = 1000
    max_idle: float = 900.0
    drain: float = 30.0
    """How long calls in flight may take after SIGTERM."""

    def __post_init__(self) -> None:
        if self.threads < 2 * _RESERVED_THREADS:
            raise InvalidSpecError(f"threads has to be at least {2 * _RESERVED_THREADS}, not {self.threads}")
        for name in ("port", "http_port"):
            # gRPC and the resolver take the last 16 bits of what is larger, and would serve on another port.
            if not 0 <= getattr(self, name) <= LAST_PORT:
                raise InvalidSpecError(f"{name} has to be from 0 to {LAST_PORT}, not {getattr(self, name)}")
        for name in (
            "max_queued",
            "read_window",
            "check_credentials_after",
            "max_stores",
            "max_idle",
            "drain",
        ):
            if getattr(self, name) < 0:
                raise InvalidSpecError(f"{name} must not be negative")


class PortInUseError(OSError):
    """The address can't be bound."""


class Server:
    """One provider's endpoint over the objects that `kube` reads.

    `with Server(Kind, ..., kube=reader) as server:` serves until the block ends; `port` and `http_port` are the bound ports.
    Entering raises PortInUseError, and `_tls.TlsError` for certificates that can't be used.
    """

    def __init__(
        self,
        *kinds: KindClass,
        kube: KubeReader,
        name: str = "",
        version: str = "",
        config: ServerConfig | None = None,
    ) -> None:
        """`name` is the distribution; its installed version is the default of `version`."""
        self._config = config or ServerConfig()
        self._kube = kube
        self._catalog = Catalog(*kinds)
        self.name = name or "provider"
        self.version = version or installed_version(self.name)
        self.metrics = Metrics()
        self._tokens = TokenCache(timeout=remaining)
        self._shared = SharedObjects()
        slots = self._config.threads - _RESERVED_THREADS
        self._admission = Admission(slots)
        self._stores = OpenStores(
            kube,
            tokens=self._tokens,
            shared=self._shared,
            calls=self.metrics,
            read_window=self._config.read_window,
            check_after=self._config.check_credentials_after,
            max_stores=self._config.max_stores,
            max_idle=self._config.max_idle,
        )
        self._tls = self._tls_files() if self._config.tls else None
        self._stopping = threading.Event()
        self._housekeeper = threading.Thread(target=self._keep_house, name="housekeeper", daemon=True)
        self._workers = WorkerPool(self._config.threads + slots)
        self._control = ThreadPoolExecutor(4, thread_name_prefix="control")
        self._describers = ThreadPoolExecutor(2, thread_name_prefix="reflection")
        self._serving = False
        self._service = self._make_service()
        self._health = Health(self._service.services, pool=self._control, metrics=self.metrics)
        self._grpc: grpc.Server | None = None
        self._http: HttpEndpoint | None = None
        self.port = 0
        self.http_port = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Bind, and serve as soon as the configuration objects are known. Returns once the ports are bound."""
        try:
            self._start()
        except BaseException:
            self.stop(grace=0)
            raise

    def _start(self) -> None:
        self._kube.start(self._catalog.types())
        server = grpc.server(self._workers, options=_KEEPALIVE)
        described = _reflection.handler((*self._service.services, HEALTH_SERVICE), self._describers)
        server.add_generic_rpc_handlers((self._service, self._health.handler(), described))
        self.port = self._bind(server)
        self._register_metrics()
        self._grpc = server
        server.start()
        self._http = HttpEndpoint(
            host=self._config.http_host,
            port=self._config.http_port,
            metrics=self.metrics,
            health=self._healthy,
            ready=self._ready,
        )
        self._http.start()
        self.http_port = self._http.port
        self._follow_sync()
        self._housekeeper.start()
        _log.info(
            "%s %s serves gRPC on port %d, HTTP on port %d",
            self.name,
            self.version,
            self.port,
            self.http_port,
        )

    @property
    def serving(self) -> bool:
        """True between the first sync of the configuration objects and the drain."""
        return self._serving

    @property
    def calls_left(self) -> int:
        """Calls that hold a thread for a backend. After `stop`: those that would not end."""
        return self._admission.used

    def drain(self) -> None:
        """Say NOT_SERVING, so that nobody sends new calls."""
        self._stopping.set()
        self._serving = False
        self._health.drain()

    def stop(self, grace: float | None = None) -> None:
        """Drain, let calls in flight end within `grace` seconds (the config's `drain`), and close everything."""
        if self._grpc is not None:
            self.drain()
            self._grpc.stop(self._config.drain if grace is None else grace).wait()
            self._grpc = None
        self._stopping.set()
        if self._housekeeper.is_alive():
            self._housekeeper.join(timeout=5)
        self._stores.close()
        self._shared.close()
        self._kube.close()
        self._workers.shutdown(wait=False, cancel_futures=True)
        self._control.shutdown(wait=False, cancel_futures=True)
        self._describers.shutdown(wait=False, cancel_futures=True)
        if self._http is not None:
            self._http.stop()
            self._http = None

    def _tls_files(self) -> _tls.ServerTls:
        config = self._config
        files = _tls.TlsFiles(
            config.tls_dir, ca_file=config.ca_file, cert_file=config.cert_file, key_file=config.key_file
        )
        return _tls.ServerTls(files)

    def _bind(self, server: grpc.Server) -> int:
        host = self._config.host
        if ":" in host and not host.startswith("["):
            host = f"[{host}]"
        address = f"{host}:{self._config.port}"
        try:
            if self._tls is not None:
                return server.add_secure_port(address, self._tls.credentials())
            _log.warning(
                "TLS is off: everyone who reaches %s can read every secret. For development only.", address
            )
            return server.add_insecure_port(address)
        except RuntimeError:
            reason = why_not(self._config.host, self._config.port)
            raise PortInUseError(
                f"Can't listen on {address} ({reason}): choose another with --port, or --host"
            ) from None

    def _make_service(self) -> ProviderService:
        places = Places(self._catalog)
        return ProviderService(
            name=self.name,
            version=self.version,
            catalog=self._catalog,
            stores=SecretStoreServicer(self._catalog, places, self._stores, self._admission),
            generators=GeneratorServicer(
                places,
                self._kube,
                self._admission,
                tokens=self._tokens,
                shared=self._shared,
                calls=self.metrics,
            ),
            metrics=self.metrics,
            workers=self._workers,
            control=self._control,
            max_queued=self._config.max_queued,
        )

    def _follow_sync(self) -> None:
        if not self._serving and not self._stopping.is_set() and self._kube.status().synced:
            self._serving = True
            self._health.set(serving=True)

    def _keep_house(self) -> None:
        last_sweep = time.monotonic()
        while not self._stopping.wait(0.05 if not self._serving else 1.0):
            try:
                self._follow_sync()
                if time.monotonic() - last_sweep >= 1.0:
                    last_sweep = time.monotonic()
                    self._stores.sweep()
                    self._shared.sweep()
            except Exception as error:  # noqa: BLE001 - without this thread nothing would ever be ready, or closed
                _log.error("housekeeping failed: %s", type(error).__name__)
                self._stopping.wait(1.0)

    def _healthy(self) -> tuple[bool, dict[str, object]]:
        """Alive as long as it answers: an API server that is away must not restart every provider."""
        status = self._kube.status()
        return True, {
            "serving": self._serving,
            "watches": {title: round(age, 1) for title, age in status.ages.items()},
            "problems": dict(status.problems),
        }

    def _ready(self) -> tuple[bool, dict[str, object]]:
        return self._serving, {"serving": self._serving, "problems": dict(self._kube.status().problems)}

    def _register_metrics(self) -> None:
        m, stores = self.metrics, self._stores
        m.gauge("eso_provider_open_stores", "Stores that are open.", lambda: len(stores))
        m.counter_fn("eso_provider_stores_opened_total", "Stores opened.", lambda: stores.opened)
        m.counter_fn("eso_provider_stores_closed_total", "Stores closed.", lambda: stores.closed)
        m.counter_fn(
            "eso_provider_reads_total",
            "Reads of secrets: answered from the read window, or by a backend call.",
            lambda: {(("source", "window"),): stores.read_hits, (("source", "backend"),): stores.read_misses},
        )
        m.counter_fn(
            "eso_provider_tokens_total",
            "ServiceAccount tokens: kept ones used again, or new ones requested.",
            lambda: {
                (("source", "cache"),): self._tokens.hits,
                (("source", "request"),): self._tokens.misses,
            },
        )
        m.gauge(
            "eso_provider_calls_waiting",
            "Calls that hold a thread for a backend.",
            lambda: self._admission.used,
        )
        m.gauge("eso_provider_calls_queued", "Calls that wait for a thread.", lambda: self._workers.queued)
        m.gauge(
            "eso_provider_calls_overdue",
            "Calls that still hold a thread although their caller's time is over.",
            self._admission.overdue,
        )
        m.gauge(
            "eso_provider_stores_hanging",
            "Stores and generators whose backend leaves calls without an answer for too long.",
            self._admission.hanging,
        )
        m.counter_fn(
            "eso_provider_calls_refused_total", "Calls refused by admission.", lambda: self._admission.refused
        )
        m.gauge(
            "eso_provider_watch_age_seconds",
            "Seconds since the last sign of life of a watch.",
            lambda: {(("type", title),): age for title, age in self._kube.status().ages.items()},
        )
        if self._tls is not None:
            tls = self._tls
            m.gauge(
                "eso_provider_certificate_expiry_timestamp_seconds",
                "When a certificate ends.",
                lambda: {(("file", file),): end for file, end in tls.expiry().items()},
            )
            m.counter_fn(
                "eso_provider_certificate_reloads_total",
                "Reloads of the certificates.",
                lambda: {(("result", "ok"),): tls.reloads, (("result", "failed"),): tls.failed_reloads},
            )


def installed_version(distribution: str) -> str:
    """The version of an installed distribution, "0" when it is not installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "0"


__all__ = ["KindClass", "PortInUseError", "Server", "ServerConfig", "installed_version"]
