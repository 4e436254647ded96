"""Judged by contract 1.0, a provider owes nothing that came later: a foreign one that knows the baseline alone fails nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from broken.right import Refusal, Right
from broken.served import SERVICES, Served
from broken.target import Certificates, target
from google.protobuf.message import Message
from provider_conformance.registry import find_check
from provider_conformance.run import run, selected
from provider_conformance.target import Target
from provider_conformance.verdict import Result, Status
from provider_proto import DESCRIPTION_SERVICE, SECRET_STORE_SERVICE


class Baseline(Right):
    """Knows neither versions nor error details, and drops the fields that the baseline does not have, as old stubs would."""

    def check_version(self, context: grpc.ServicerContext) -> None:
        pass

    def trailers(self) -> list[tuple[str, str | bytes]]:
        return []

    def error_trailers(self, refusal: Refusal) -> list[tuple[str, str | bytes]]:
        return []

    def parse(self, method: str, payload: bytes) -> Message:
        request = super().parse(method, payload)
        for extension in ("store", "generator"):
            if extension in request.DESCRIPTOR.fields_by_name:
                request.ClearField(extension)
        return request


class ServesTheBaseline(Served):
    """Has no description service."""

    SERVED = tuple(name for name in SERVICES if name != DESCRIPTION_SERVICE)

    def register(self, server: grpc.Server) -> None:
        for service in self.SERVED:
            handlers = {method: self._handler(f"/{service}/{method}") for method in SERVICES[service]}
            server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))

    def reflected(self) -> tuple[str, ...]:
        return (*self.SERVED, *super().reflected()[len(SERVICES) :])


class ReadsOne(Baseline):
    """As little as can be: one secret is read by its name."""

    CAPABILITIES = 0

    def answer(self, method: str, payload: bytes, context: Any) -> bytes:
        if method not in {"GetSecret", "GetSecretMap", "Validate", "Capabilities"}:
            raise Refusal(grpc.StatusCode.UNIMPLEMENTED, "UNSUPPORTED", f"{method} is not served")
        return super().answer(method, payload, context)


class ServesOneService(ServesTheBaseline):
    """Serves stores only."""

    SERVED = (SECRET_STORE_SERVICE,)


def _target(served: Served, certificates: Certificates) -> Target:
    """A baseline target; the suite gets no metrics, process or folder, which not everybody has."""
    made = target(served, certificates, seed_by_hook=False)
    assert made.tls is not None
    tls = replace(made.tls, rewrite_dir=None)
    return replace(made, contract=(1, 0), metrics_url="", process=None, tls=tls)


@pytest.fixture(
    params=[(Baseline, ServesTheBaseline), (ReadsOne, ServesOneService)], ids=["all", "reads-only"]
)
def foreign(request: pytest.FixtureRequest, certificates: Certificates, tmp_path: Path) -> Iterator[Target]:
    """A foreign provider, running."""
    right, server = request.param
    certificates.write(tmp_path / "server")
    served = server(right(), tmp_path / "server")
    served.start()
    made = _target(served, certificates)
    if right is ReadsOne:
        (store,) = made.stores
        limits = replace(store.limits, find=(), metadata_fetch=False)
        made = replace(made, stores=(replace(store, seed="none", limits=limits),), generators=())
    yield made
    served.stop()


def _with(results: list[Result], status: Status) -> dict[str, str]:
    return {result.check: result.reason for result in results if result.status is status}


def test_a_provider_that_knows_the_baseline_alone_fails_nothing(foreign: Target) -> None:
    """What it does not owe is not applicable, and says since when it is owed; what could not be tried says what it needs."""
    results, left = run(foreign, selected(slow=False))

    assert _with(results, Status.FAILED) == {}
    assert left == []
    later = {check.id for check in selected(slow=False) if check.since > (1, 0)}
    excused = _with(results, Status.NOT_APPLICABLE)
    assert later <= excused.keys()
    assert all(
        "promised since contract 1.1" in excused[id_] for id_ in later if find_check(id_).role == "server"
    )
    assert all(_with(results, Status.NOT_RUN).values())


def test_the_same_provider_is_told_what_contract_1_1_adds(foreign: Target) -> None:
    """Excused by its declared version only: nobody is conformant to 1.1 by not having it."""
    results, _ = run(
        replace(foreign, contract=(1, 1)), selected(only=("skew.answers-version", "describe.answers"))
    )

    assert _with(results, Status.FAILED).keys() == {"skew.answers-version", "describe.answers"}
