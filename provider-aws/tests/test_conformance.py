"""AWS judged by the conformance suite: the provider as a process of its own, moto, and a proxy that plays faults."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from eso_e2e import judged
from eso_e2e.faultproxy import FaultProxy
from eso_e2e.faults import Answer, BlackHole
from eso_e2e.judged import GENERATORS, STORES, made
from eso_e2e.moto import MotoApi
from eso_e2e.served import Served
from provider_conformance.suite import EveryConformance
from provider_conformance.target import Existing, GeneratorTarget, Limits, StoreTarget, Target

from .bench import ENDPOINTS, plain_client

pytestmark = pytest.mark.real

KINDS = {"AWSSecretManager": "secretsmanager", "AWSParameterStore": "ssm"}
TOKENS = ("ECRAuthorizationToken", "STSSessionToken")


def spec(
    secret: str = "aws", *, namespace: str | None = None, region: str = "eu-central-1"
) -> dict[str, Any]:
    where = {"name": secret, **({"namespace": namespace} if namespace else {})}
    refs = {
        "accessKeyIDSecretRef": {**where, "key": "id"},
        "secretAccessKeySecretRef": {**where, "key": "secret"},
    }
    return {"region": region, "auth": {"secretRef": refs}}


def keys(namespace: str, name: str, key_id: str) -> dict[str, Any]:
    return made("v1", "Secret", namespace, name, stringData={"id": key_id, "secret": "sesame"})


def manifests() -> Iterator[dict[str, Any]]:
    """Stores and generators in two teams, and the keys they use."""
    yield keys("team-a", "aws", "AKIAIOSFODNN7EXAMPLE")
    yield keys("team-a", "wrong", "AKIAREFUSED")
    yield keys("team-b", "for-b", "AKIAIOSFODNN7EXAMPLE")
    for kind in KINDS:
        # A name that waits for its deletion can't be used again before.
        deletion = (
            {"secretsManager": {"forceDeleteWithoutRecovery": True}} if kind == "AWSSecretManager" else {}
        )
        yield made(STORES, kind, "team-a", "main", spec={**spec(), **deletion})
        yield made(STORES, kind, "team-a", "second", spec=spec(region="eu-west-1"))
        yield made(STORES, kind, "team-b", "foreign", spec=spec("for-b", region="eu-west-1"))
        yield made(STORES, kind, "team-a", "borrows", spec=spec("for-b", namespace="team-b"))
        yield made(STORES, kind, "team-b", "referent", spec=spec())
        yield made(STORES, kind, "team-a", "refused", spec=spec("wrong"))
        yield made(STORES, kind, "team-a", "nonsense", spec=spec(region="Not a region"))
    for kind in TOKENS:
        yield made(GENERATORS, kind, "team-a", "main", spec=spec())
        yield made(GENERATORS, kind, "team-b", "foreign", spec=spec())
        yield made(GENERATORS, kind, "team-a", "borrows", spec=spec("for-b", namespace="team-b"))
        yield made(GENERATORS, kind, "team-a", "nonsense", spec=spec(region="Not a region"))


def error(code: str, status: int = 400, **headers: str) -> Answer:
    return Answer.json(status, {"__type": code, "Message": "m"}, headers)


ENCODED = (
    "A whole Secret becomes a parameter with its values in base64, as in Go; encodeAsDecoded makes it texts."
)
BIG = {"SecretString": "x" * 5_000_000, "Parameter": {"Value": "x" * 5_000_000}}
FAULTS = {
    "timeout": error("RequestTimeoutException"),
    "unavailable": Answer(503, b"<html>"),
    "denied": error("AccessDeniedException"),
    "unauthenticated": error("UnrecognizedClientException"),
    "rate": error("ThrottlingException", **{"Retry-After": "1"}),
    "oversize": Answer.json(200, BIG),
    "hang": BlackHole(),
}


@pytest.fixture(scope="module")
def proxy(moto: MotoApi) -> Iterator[FaultProxy]:
    front = FaultProxy(moto.url)
    for name, fault in FAULTS.items():
        front.inject(fault, body=f'"/fault/{name}"', headers={"X-Amz-Target": r"Get(SecretValue|Parameter)$"})
    front.inject(delay=2, body='"/fault/slow"')
    front.inject(error("UnrecognizedClientException"), headers={"Authorization": "AKIAREFUSED"})
    unknown = b"<ErrorResponse><Error><Code>InvalidClientTokenId</Code></Error></ErrorResponse>"
    front.inject(
        Answer(403, unknown, {"Content-Type": "text/xml"}),
        headers={"Authorization": "AKIAREFUSED"},
        body="Action=",
    )
    yield front
    front.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, moto: MotoApi, proxy: FaultProxy) -> Iterator[Served]:
    moto.reset()
    for region, values in (("eu-central-1", ("number 1", "number 2")), ("eu-west-1", ("of another store",))):
        secrets, parameters = (plain_client(moto, service, region) for service in KINDS.values())
        secrets.create_secret(Name="/versioned", SecretString=values[0])
        parameters.put_parameter(Name="/versioned", Value=values[0], Type="String")
        for value in values[1:]:
            secrets.put_secret_value(SecretId="/versioned", SecretString=value)
            parameters.put_parameter(Name="/versioned", Value=value, Overwrite=True)
        secrets.create_secret(Name="/fault/slow", SecretString="slow")
        parameters.put_parameter(Name="/fault/slow", Value="slow", Type="String")
        secrets.create_secret(Name="/unmanaged", SecretString="made by hand")
        parameters.put_parameter(Name="/unmanaged", Value="made by hand", Type="String")
    folder = tmp_path_factory.mktemp("aws")
    environment = dict.fromkeys(ENDPOINTS, proxy.url)
    environment["AWS_EC2_METADATA_DISABLED"] = "true"
    with judged.serving("provider_aws", folder, manifests(), environment) as running:
        yield running


class Seeder:
    """Puts secrets and parameters into moto past the provider, as a push would have made them."""

    def __init__(self, moto: MotoApi) -> None:
        self._secrets, self._parameters = (plain_client(moto, service) for service in KINDS.values())

    def put(self, store: str, key: str, value: bytes, tags: Mapping[str, str]) -> None:
        """Create or replace."""
        listed = [{"Key": k, "Value": v} for k, v in {"managed-by": "external-secrets", **tags}.items()]
        self.delete(store, key)
        if store == "awssecretmanager":
            self._secrets.create_secret(Name=key, SecretBinary=value, Tags=listed)
        else:
            self._parameters.put_parameter(Name=key, Value=value.decode(), Type="String", Tags=listed)

    def delete(self, store: str, key: str) -> None:
        """Remove; what is absent is fine."""
        if store == "awssecretmanager":
            self._secrets.delete_secret(SecretId=key, ForceDeleteWithoutRecovery=True)
        else:
            self._parameters.delete_parameters(Names=[key])


def store(kind: str, *, first: str, limits: Limits, seeder: Seeder) -> StoreTarget:
    return StoreTarget(
        name=kind.lower(),
        api_version=STORES,
        kind=kind,
        seed=seeder,
        key_prefix="/conformance-",
        keys=(
            Existing("/versioned", b"number 1", version=first),
            Existing("/versioned", b"number 2"),
        ),
        limits=limits,
        faults=judged.faults("/fault/", slow=2, unmanaged="/unmanaged"),
        **judged.STORE_OBJECTS,
    )


@pytest.fixture(scope="module")
def target(served: Served, moto: MotoApi) -> Target:
    common: dict[str, Any] = {
        "empty_value": False,
        "find": ("name", "tags", "path"),
        "metadata_fetch": True,
        "backend_calls": True,
    }
    generators = tuple(
        GeneratorTarget(
            name=kind.lower(),
            api_version=GENERATORS,
            kind=kind,
            # moto's tokens are always the same.
            fixed=True,
            **judged.generator_objects(foreign="foreign"),
        )
        for kind in TOKENS
    )
    return judged.target(
        served,
        "provider-aws",
        stores=(
            store(
                "AWSSecretManager",
                first="AWSPREVIOUS",
                seeder=Seeder(moto),
                limits=Limits(
                    max_value_bytes=65_536, key_pattern=r"[A-Za-z0-9/_+=.@-]+", max_key_bytes=512, **common
                ),
            ),
            store(
                "AWSParameterStore",
                first="1",
                seeder=Seeder(moto),
                limits=Limits(
                    values="text",
                    max_value_bytes=4096,
                    key_pattern=r"/([A-Za-z0-9_.-]+/){0,14}[A-Za-z0-9_.-]+",
                    max_key_bytes=1011,
                    **common,
                ),
            ),
        ),
        generators=generators,
        known_failures={
            f"{check}[awsparameterstore]": ENCODED
            for check in ("write.whole-secret", "write.whole-secret-exact")
        },
    )


class TestConformance(EveryConformance):  # type: ignore[misc, valid-type]  # made by a function
    """Every check of the suite."""
