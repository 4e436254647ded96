"""All services of one provider as one grpc handler: which body serves which path, and on which threads it runs."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from provider_proto import DESCRIPTION_SERVICE, GENERATOR_SERVICE, SECRET_STORE_SERVICE
from provider_proto.generator.v1 import generator_pb2
from provider_proto.provider.v1 import description_pb2, secretstore_pb2

from provider_common._metrics import Metrics
from provider_common._wire.calls import Body, Refusal, Rpc
from provider_common._wire.generators import GeneratorServicer
from provider_common._wire.stores import SecretStoreServicer
from provider_common._wire.versions import SPOKEN
from provider_common.catalog import Catalog

_ROLES = {"store": description_pb2.KIND_ROLE_STORE, "generator": description_pb2.KIND_ROLE_GENERATOR}


class WorkerPool(ThreadPoolExecutor):
    """The threads that serve calls, and the number of calls that wait for one.

    Told by the pool and not counted in the handlers: grpc drops a call that its client cancelled while it waited, and then
    no handler ever runs.
    """

    def __init__(self, threads: int) -> None:
        super().__init__(threads, thread_name_prefix="call")

    @property
    def queued(self) -> int:
        """Calls that wait."""
        return self._work_queue.qsize()


class ProviderService(grpc.GenericRpcHandler):  # type: ignore[misc, unused-ignore]
    """Routes calls, and bounds the queue in front of the worker threads.

    Capabilities and Describe run on `control`, a small pool of their own beside health: they answer while every worker
    waits for a backend.
    """

    def __init__(
        self,
        *,
        name: str,
        version: str,
        catalog: Catalog,
        stores: SecretStoreServicer,
        generators: GeneratorServicer,
        metrics: Metrics,
        workers: WorkerPool,
        control: ThreadPoolExecutor,
        max_queued: int,
    ) -> None:
        """`max_queued` calls may wait for one of `workers`; the next one is refused."""
        self._metrics = metrics
        self._workers = workers
        self._control = control
        self._max_queued = max_queued
        self._handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}
        self._refusals: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}
        self.services = [DESCRIPTION_SERVICE]
        description = _describe(name, version, catalog)
        self._add(
            DESCRIPTION_SERVICE,
            "Describe",
            description_pb2.DescribeRequest.FromString,
            lambda _r, _c: description,
            control=True,
        )
        if catalog.has_stores:
            self.services.append(SECRET_STORE_SERVICE)
            pb = secretstore_pb2
            self._add(
                SECRET_STORE_SERVICE, "GetSecret", stores.reading(pb.GetSecretRequest), stores.get_secret
            )
            self._add(
                SECRET_STORE_SERVICE,
                "GetSecretMap",
                stores.reading(pb.GetSecretMapRequest),
                stores.get_secret_map,
            )
            self._add(SECRET_STORE_SERVICE, "PushSecret", pb.PushSecretRequest.FromString, stores.push_secret)
            self._add(
                SECRET_STORE_SERVICE, "DeleteSecret", pb.DeleteSecretRequest.FromString, stores.delete_secret
            )
            self._add(
                SECRET_STORE_SERVICE, "SecretExists", pb.SecretExistsRequest.FromString, stores.secret_exists
            )
            self._add(
                SECRET_STORE_SERVICE,
                "GetAllSecrets",
                pb.GetAllSecretsRequest.FromString,
                stores.get_all_secrets,
            )
            self._add(SECRET_STORE_SERVICE, "Validate", pb.ValidateRequest.FromString, stores.validate)
            self._add(
                SECRET_STORE_SERVICE,
                "Capabilities",
                pb.CapabilitiesRequest.FromString,
                stores.capabilities,
                control=True,
            )
        if catalog.has_generators:
            self.services.append(GENERATOR_SERVICE)
            self._add(
                GENERATOR_SERVICE, "Generate", generator_pb2.GenerateRequest.FromString, generators.generate
            )
            self._add(
                GENERATOR_SERVICE, "Cleanup", generator_pb2.CleanupRequest.FromString, generators.cleanup
            )

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """The handler of one call. grpc asks on its own thread, before it queues the call."""
        path = handler_call_details.method
        if self._workers.queued >= self._max_queued and path in self._refusals:
            return self._refusals[path]
        return self._handlers.get(path)

    def _add(
        self,
        service: str,
        method: str,
        parse: Callable[[bytes], Any],
        body: Body[Any],
        *,
        control: bool = False,
    ) -> None:
        path = f"/{service}/{method}"
        self._handlers[path] = _handler(
            Rpc(path, parse, body, self._metrics), self._control if control else None
        )
        if not control:
            self._refusals[path] = _handler(Refusal(path, self._metrics), self._control)


def _handler(
    behaviour: Callable[[bytes, grpc.ServicerContext], bytes], pool: ThreadPoolExecutor | None
) -> grpc.RpcMethodHandler[Any, Any]:
    if pool is not None:
        # grpc's own seam for a method that must not queue behind the others.
        behaviour.experimental_thread_pool = pool  # type: ignore[attr-defined]
    return grpc.unary_unary_rpc_method_handler(behaviour)


def _describe(name: str, version: str, catalog: Catalog) -> description_pb2.DescribeResponse:
    return description_pb2.DescribeResponse(
        name=name,
        version=version,
        contract_versions=SPOKEN,
        kinds=[
            description_pb2.ServedKind(
                role=_ROLES[kind.role],
                api_version=kind.api_version,
                kind=kind.kind,
                capabilities=kind.capabilities,
                alias_of=kind.alias_of,
                methods=kind.methods,
            )
            for kind in catalog
        ],
    )
