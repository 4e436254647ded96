"""The README's IAM policies, in force: moto knows none, so the proxy denies what the policies do not allow."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
from eso_e2e.faults import Answer, RecordedRequest, Respond
from provider_common.testing import StoreHandle

from .bench import NAMESPACE, REGION, Bench

pytestmark = pytest.mark.real

README = (Path(__file__).parents[1] / "README.md").read_text()
SERVICES = {"secretsmanager": ("secretsmanager", "secret:"), "AmazonSSM": ("ssm", "parameter")}
PATHS = {"AWSSecretManager": "team-a", "AWSParameterStore": "/team-a"}


def statements(title: str) -> list[dict[str, Any]]:
    """The policy that follows `title` in the README."""
    (text,) = re.findall(rf"{re.escape(title)}\n\n```json\n(.*?)```", README, re.DOTALL)
    found: list[dict[str, Any]] = json.loads(text)["Statement"]
    return found


def as_list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


READ_SECRETS = statements("To read and find secrets:")
PUSH_SECRETS = statements("To push and delete secrets, these too:")
READ_PARAMETERS = statements("To read and find parameters:")
PUSH_PARAMETERS = statements("To push and delete parameters, these too:")


class Guard:
    """IAM for one role: allows what its statements say, and remembers what was asked and denied."""

    def __init__(self, policy: list[dict[str, Any]]) -> None:
        self.policy = policy
        self.actions: set[str] = set()
        self.denied: list[tuple[str, str]] = []

    def __call__(self, request: RecordedRequest) -> Answer | None:
        """A refusal, or None: let it pass."""
        service, _, operation = request.headers["x-amz-target"].partition(".")
        service, kind = SERVICES[service]
        action, body = f"{service}:{operation}", request.json()
        names = [body[f] for f in ("SecretId", "Name", "ResourceId", "Path") if f in body]
        names += body.get("Names", [])
        self.actions.add(action)
        for name in names or ["*"]:
            arn = f"arn:aws:{service}:{REGION}:123456789012:{kind}{name}" if names else "*"
            if not self._allows(action, arn):
                self.denied.append((action, arn))
                return Answer.json(400, {"__type": "AccessDeniedException", "Message": action})
        return None

    def _allows(self, action: str, arn: str) -> bool:
        return any(
            action in as_list(statement["Action"])
            and any(fnmatchcase(arn, resource) for resource in as_list(statement["Resource"]))
            for statement in self.policy
        )


def actions(policy: list[dict[str, Any]]) -> set[str]:
    return {action for statement in policy for action in as_list(statement["Action"])}


def metadata(**spec: Any) -> dict[str, Any]:
    version = "kubernetes.external-secrets.io/v1alpha1"
    return {"apiVersion": version, "kind": "PushSecretMetadata", "spec": spec}


def read_all_ways(bench: Bench, store: StoreHandle) -> None:
    harness, path = bench.harness, PATHS[store.kind]
    key = f"{path}/db"
    assert harness.get_secret(store, key) == b"x"
    assert harness.get_secret(store, key, metadata_policy="Fetch")
    assert harness.exists(store, key)
    for find in ({"path": path}, {"tags": {"a": "b"}}):
        assert harness.find(store, **find) == {key: b"x"}


def push_all_ways(bench: Bench, store: StoreHandle, *more: dict[str, Any]) -> None:
    """Every property and every kind of metadata, and away again."""
    harness, key = bench.harness, f"{PATHS[store.kind]}/doc"
    for prop, asked in zip("abcdef", ({"tags": {"x": "1"}}, {"tags": {"y": "2"}}, *more), strict=False):
        harness.push(store, key, {"p": b"v"}, secret_key="p", property=prop, metadata=metadata(**asked))
    harness.delete(store, key, property="a")
    harness.delete(store, key)
    assert not harness.exists(store, key)


@pytest.mark.parametrize(
    ("kind", "policy"),
    [("AWSSecretManager", READ_SECRETS), ("AWSParameterStore", READ_PARAMETERS)],
    ids=["secrets", "parameters"],
)
def test_the_policy_to_read_allows_all_that_reading_asks_and_no_more(
    bench: Bench, kind: str, policy: list[dict[str, Any]]
) -> None:
    tags = [{"Key": "a", "Value": "b"}]
    bench.aws("secretsmanager").create_secret(Name="team-a/db", SecretString="x", Tags=tags)
    bench.aws("ssm").put_parameter(Name="/team-a/db", Value="x", Type="String", Tags=tags)
    guard = Guard(policy)
    bench.proxy.inject(Respond(guard))
    read_all_ways(bench, bench.store(kind))

    assert guard.denied == []
    assert guard.actions == actions(policy)


def test_the_policies_to_push_secrets_allow_all_that_a_push_asks_and_no_more(bench: Bench) -> None:
    guard = Guard(READ_SECRETS + PUSH_SECRETS)
    bench.proxy.inject(Respond(guard))
    policy = {"kind": "ConfigMap", "name": "policy", "key": "json"}
    replicas = [{"replicationLocations": regions} for regions in (["us-east-1"], ["us-west-2"])]
    bench.harness.kube.add_config_map(NAMESPACE, "policy", {"json": '{"Statement": []}'})
    store = bench.store()
    push_all_ways(bench, store, {"resourcePolicy": {"policySourceRef": policy}}, *replicas)
    bench.harness.push(store, "team-a/p", {"p": b"v"}, secret_key="p")
    asked = metadata(resourcePolicy={"policySourceRef": policy})
    bench.harness.push(store, "team-a/p", {"p": b"v"}, secret_key="p", metadata=asked)
    bench.harness.kube.add_config_map(NAMESPACE, "policy", {"json": ""})
    bench.harness.push(store, "team-a/p", {"p": b"v"}, secret_key="p", metadata=asked)

    assert guard.denied == []
    assert guard.actions - actions(READ_SECRETS) == actions(PUSH_SECRETS)


def test_the_policies_to_push_parameters_allow_all_that_a_push_asks_and_no_more(bench: Bench) -> None:
    guard = Guard(READ_PARAMETERS + PUSH_PARAMETERS)
    bench.proxy.inject(Respond(guard))
    push_all_ways(bench, bench.store("AWSParameterStore"), {"secretType": "SecureString"})

    assert guard.denied == []
    assert guard.actions - actions(READ_PARAMETERS) == actions(PUSH_PARAMETERS)


def test_the_guard_denies_what_a_policy_does_not_name(bench: Bench) -> None:
    """Else the tests above would prove nothing."""
    guard = Guard(READ_SECRETS)
    bench.proxy.inject(Respond(guard))
    store = bench.store()
    for write in (
        lambda: bench.harness.push(store, "team-a/db", {"p": b"v"}, secret_key="p"),
        lambda: bench.harness.get_secret(store, "team-b/db"),
    ):
        with bench.harness.fails() as failure:
            write()
        assert failure.error.code == "ACCESS_DENIED"

    assert [action for action, _ in guard.denied] == [
        "secretsmanager:CreateSecret",
        "secretsmanager:GetSecretValue",
    ]
