"""The official Kubernetes client, cut down to the few calls that are made here. Answers are plain data.

The library's exceptions end here. What becomes of them is said anew: an answer's body is never repeated, and nothing raised
here leads back to one.
"""

from __future__ import annotations

import json
import os
import re
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import urllib3
import yaml
from kubernetes import client, config
from kubernetes.config import incluster_config
from urllib3 import exceptions as http

from provider_common._kube_stream import Stream
from provider_common.kube import ServedType

# The client's annotations tell what it makes of an answer; asked not to, it gives the answer itself.
_api: Any = client
_config: Any = config
_InClusterConfigLoader: Any = incluster_config.InClusterConfigLoader

Answer = dict[str, Any]
Named = Literal["secrets", "configmaps", "serviceaccounts"]

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
CONNECTIONS = 32
"""Idle connections that are kept: about what the calls of a busy provider use at once."""

_READS: dict[Named, str] = {
    "secrets": "read_namespaced_secret",
    "configmaps": "read_namespaced_config_map",
    "serviceaccounts": "read_namespaced_service_account",
}
_LIST_SECONDS = (5.0, 25.0)
_RELOAD_EVERY = 5.0

_TLS = "TLS with it failed: its certificate, or ours, is not accepted"
# The first that fits; subclasses stand before their bases (a refused connection is one that timed out, to urllib3).
_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (http.NameResolutionError, "its name can't be resolved"),
    (http.NewConnectionError, "it can't be reached"),
    (http.ConnectTimeoutError, "it did not answer in time"),
    (http.ReadTimeoutError, "it did not answer in time"),
    (http.SSLError, _TLS),
    (ssl.SSLError, _TLS),
    (http.ProtocolError, "it broke the connection"),
    (config.ConfigException, "the credentials for it can't be read"),
)


_UNEXPECTED = (ValueError, TypeError, AttributeError)
"""What the client's loader makes of a kubeconfig with text in place of a mapping, and the like."""
_WRONG_FORM = "it has not the form that kubectl writes"
_TELLS_NOTHING = re.compile(
    r"Invalid kube-config\.? .* file is empty"
    r"|Invalid kube-config file\. (No configuration found\.|Expected key current-context in .*"
    r"|Expected object with name [-.\w@:/]{1,100} in .*/(contexts|clusters|users) list)"
)


class NoClusterError(ValueError):
    """There is no usable configuration of a cluster. The text says what to give."""


class UnreachableError(Exception):
    """No answer. The text continues "the API server can't be asked:"."""


class RefusedError(Exception):
    """An answer that is an error. The text is made of its status code only."""

    def __init__(self, status: int, *, retry_after: float | None = None) -> None:
        super().__init__(f"it answered {status}")
        self.status = status
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Access:
    """Where the cluster's address and credentials come from: `kubeconfig`, else KUBECONFIG, else the ServiceAccount of the
    pod (in `service_account`), else ~/.kube/config.
    """

    kubeconfig: Path | None = None
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    service_account: Path = SERVICE_ACCOUNT

    def load(self) -> client.Configuration:
        """Read it. Raises NoClusterError."""
        made = client.Configuration()
        try:
            self._load_into(made)
        except (config.ConfigException, yaml.YAMLError, OSError, LookupError, *_UNEXPECTED) as error:
            failure = NoClusterError(f"{self._source()} can't be used to reach a cluster: {_why(error)}")
        else:
            made.retries = False  # ours are in sight of the caller's deadline
            made.connection_pool_maxsize = CONNECTIONS
            made.keep_alive = True
            return made
        raise failure

    def _load_into(self, made: client.Configuration) -> None:
        if path := self.kubeconfig or self.environ.get("KUBECONFIG"):
            _load_kubeconfig(str(path), made)
        elif self.environ.get("KUBERNETES_SERVICE_HOST"):
            loader: Any = _InClusterConfigLoader(
                token_filename=str(self.service_account / "token"),
                cert_filename=str(self.service_account / "ca.crt"),
                environ=self.environ,
            )
            loader.load_and_set(made)
        elif (home := Path(self.environ.get("HOME", "~")).expanduser() / ".kube" / "config").exists():
            _load_kubeconfig(str(home), made)
        else:
            raise config.ConfigException(
                "no kubeconfig is given, and this is no pod: give --kubeconfig FILE, or --manifests DIR for a folder"
            )

    def _source(self) -> str:
        if path := self.kubeconfig or self.environ.get("KUBECONFIG"):
            return f"kubeconfig {path}"
        return "The environment"


def _why(error: Exception) -> str:
    """What is wrong with a configuration, in words that repeat nothing of it."""
    match error:
        case config.ConfigException():
            return str(error)
        case yaml.YAMLError():
            return "it is not valid YAML"
        case OSError(strerror=str(reason)):
            return reason
        case _:
            return _WRONG_FORM


def _load_kubeconfig(path: str, made: client.Configuration) -> None:
    try:
        _config.load_kube_config(path, client_configuration=made, persist_config=False)
    except config.ConfigException as error:
        # Where the client does not find what it wants, it shows what it found: a user with his token, say.
        safe = _TELLS_NOTHING.fullmatch(str(error))
        failure = config.ConfigException(safe[0] if safe else _WRONG_FORM)
    else:
        return
    raise failure


class ApiServer:
    """Asks one API server. Safe to use from several threads.

    Every method raises RefusedError for an answer that is an error, and UnreachableError for none.
    """

    def __init__(self, access: Access) -> None:
        """Reads the configuration; nothing is sent. Raises NoClusterError."""
        self._access = access
        self._lock = threading.Lock()
        self._client = client.ApiClient(access.load())
        self._loaded = time.monotonic()

    def list(self, served: ServedType, *, limit: int, token: str) -> Answer:
        """One page of the objects in all namespaces; `token` is what the page before gave as `continue`."""
        where = _path(served)
        more = {"_continue": token} if token else {}
        return self._ask(
            lambda c: _api.CustomObjectsApi(c).list_cluster_custom_object(
                *where, limit=limit, _preload_content=False, _request_timeout=_LIST_SECONDS, **more
            )
        )

    def watch(self, served: ServedType, *, version: str, seconds: int, silence: float) -> Stream:
        """Changes since `version` as lines of JSON, for about `seconds`. Reading raises when `silence` seconds bring
        nothing. The caller closes it.
        """
        response = self._call(
            lambda c: _api.CustomObjectsApi(c).list_cluster_custom_object(
                *_path(served),
                watch=True,
                allow_watch_bookmarks=True,
                resource_version=version,
                timeout_seconds=seconds,
                _preload_content=False,
                _request_timeout=(_LIST_SECONDS[0], silence),
            )
        )
        return Stream(response, _unreachable)

    def read(self, what: Named, namespace: str, name: str, *, timeout: float) -> Answer:
        """One object by its name."""
        return self._ask(
            lambda c: getattr(_api.CoreV1Api(c), _READS[what])(
                name, namespace, _preload_content=False, _request_timeout=_within(timeout)
            )
        )

    def request_token(
        self, namespace: str, name: str, *, audiences: tuple[str, ...], seconds: int | None, timeout: float
    ) -> Answer:
        """A TokenRequest for a ServiceAccount."""
        spec = client.V1TokenRequestSpec(audiences=list(audiences), expiration_seconds=seconds)
        body = client.AuthenticationV1TokenRequest(spec=spec)
        return self._ask(
            lambda c: _api.CoreV1Api(c).create_namespaced_service_account_token(
                name, namespace, body, _preload_content=False, _request_timeout=_within(timeout)
            )
        )

    def _ask(self, call: Callable[[client.ApiClient], urllib3.BaseHTTPResponse]) -> Answer:
        response = self._call(call)
        try:
            content = json.loads(response.data)
        except (http.HTTPError, OSError) as error:
            failure = _unreachable(error)
        except ValueError:
            failure = UnreachableError("its answer is not JSON; is there a proxy between?")
        else:
            if isinstance(content, dict):
                return content
            failure = UnreachableError("its answer is not an object; is there a proxy between?")
        raise failure

    def _call(self, call: Callable[[client.ApiClient], urllib3.BaseHTTPResponse]) -> urllib3.BaseHTTPResponse:
        """One call, made again after a connection that had gone stale, and after credentials that had been renewed."""
        for last in (False, True):
            used = self._client
            try:
                return call(used)
            except client.ApiException as error:
                if error.status == 401 and not last and self._reload(used):
                    continue
                failure = _refused(error) if error.status else UnreachableError(_TLS)
            except http.ProtocolError as error:
                if not last:
                    continue
                failure = _unreachable(error)
            except (http.HTTPError, OSError, config.ConfigException) as error:
                failure = _unreachable(error)
            break
        raise failure

    def _reload(self, used: client.ApiClient) -> bool:
        """Read the credentials again. False when that was tried just now."""
        with self._lock:
            if self._client is not used:
                return True
            if time.monotonic() - self._loaded < _RELOAD_EVERY:
                return False
            self._loaded = time.monotonic()
            try:
                self._client = client.ApiClient(self._access.load())
            except NoClusterError:
                return False
            return True


def _path(served: ServedType) -> tuple[str, str, str]:
    group, _, version = served.api_version.partition("/")
    return group, version, served.plural


def _within(timeout: float) -> tuple[float, float]:
    seconds = max(timeout, 0.05)
    return min(5.0, seconds), min(25.0, seconds)


def _refused(error: client.ApiException) -> RefusedError:
    after = (error.headers or {}).get("Retry-After", "")
    return RefusedError(int(error.status), retry_after=float(after) if after.isdecimal() else None)


def _unreachable(error: BaseException) -> UnreachableError:
    reason = next((text for kind, text in _REASONS if isinstance(error, kind)), None)
    return UnreachableError(reason or f"the connection failed ({type(error).__name__})")
