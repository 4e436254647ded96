"""What the README tells people to type, typed: policies that suffice and hold nothing too much, commands that Vault takes."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from eso_e2e.pki import CertificateAuthority
from eso_e2e.vault import VaultServer
from grpc import RpcError, StatusCode
from provider_common.testing import ProviderHarness, StoreHandle

from .bench import Bench, certificate_authority

if TYPE_CHECKING:
    from eso_e2e.moto import MotoApi

pytestmark = pytest.mark.real

ROOT = Path(__file__).parents[2]
README = (ROOT / "provider-vault" / "README.md").read_text()
EXAMPLE = (ROOT / "examples" / "vault" / "README.md").read_text()


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


READ, PUSH, DYNAMIC = blocks(README, "hcl")
COMMANDS = [block for block in blocks(README, "sh") if block.startswith("vault ")]
COMMANDS += [inline for inline in re.findall(r"`(vault [^`]*)`", README) if "=" in inline]


def v1(policy: str) -> str:
    """As the README says: one line without `data/` and `metadata/`, with all that both hold."""
    named = sorted({name for held in re.findall(r"\[(.*)\]", policy) for name in held.split(", ")})
    return f'path "secret/team-a/*" {{ capabilities = [{", ".join(named)}] }}'


@pytest.fixture(scope="module")
def vault(server_progress: Any) -> Iterator[VaultServer]:
    """A Vault of its own, because the names in the README are anybody's."""
    with VaultServer(progress=server_progress) as made:
        yield made


def store(
    harness: ProviderHarness, vault: VaultServer, rules: str, version: str, number: int = 0
) -> StoreHandle:
    """A store whose token has `rules`, and the `default` policy as every token."""
    bench = Bench(harness, vault)
    mount = "secret" if version == "v2" else "secret-v1"
    policy = vault.write_policy(rules.replace("secret/", f"{mount}/"))
    spec = bench.spec(mount, token=vault.create_token(policies=[policy]), version=version)
    return harness.add_store("team-a", spec, name=f"store-{number}")


def seed(vault: VaultServer, version: str) -> None:
    if version == "v2":
        vault("POST", "/secret/data/team-a/app", {"data": {"k": "v"}})
        vault("POST", "/secret/metadata/team-a/app", {"custom_metadata": {"team": "a"}})
        return
    if "secret-v1/" not in vault("GET", "/sys/mounts")["data"]:
        vault("POST", "/sys/mounts/secret-v1", {"type": "kv", "options": {"version": "1"}})
    vault("POST", "/secret-v1/team-a/app", {"k": "v"})


def read_everything(harness: ProviderHarness, vault: VaultServer, made: StoreHandle, version: str) -> None:
    seed(vault, version)
    assert harness.get_secret(made, "team-a/app", property="k") == b"v"
    assert set(harness.find(made, path="team-a", name="app")) == {"team-a/app"}
    answer = harness.validate(made)
    assert (answer.valid, list(answer.warnings)) == (True, [])
    if version == "v2":
        assert set(harness.find(made, path="team-a", tags={"team": "a"})) == {"team-a/app"}
        assert harness.get_secret(made, "team-a/app", metadata_policy="Fetch", property="team") == b"a"
    with pytest.raises(RpcError) as caught:
        harness.get_secret(made, "team-a/missing")
    if caught.value.code() is not StatusCode.NOT_FOUND:  # type: ignore[attr-defined]
        raise caught.value


def write_everything(harness: ProviderHarness, vault: VaultServer, made: StoreHandle, version: str) -> None:
    key = f"team-a/pushed-{made.name}"
    if version == "v2":  # somebody else's notes, before there is a version
        vault("POST", f"/secret/metadata/{key}-noted", {"custom_metadata": {"note": "x"}})
        harness.push(made, f"{key}-noted", {"a": b"1"})
    harness.push(made, key, {"a": b"1"})
    harness.push(made, key, {"k": b"2"}, secret_key="k", property="b")
    harness.delete(made, key, property="a")
    assert harness.exists(made, key, property="b")
    harness.delete(made, key)
    assert not harness.exists(made, key)


Doing = Callable[[ProviderHarness, VaultServer, StoreHandle, str], None]
POLICIES: dict[str, tuple[str, str, Doing]] = {
    "read v2": (READ, "v2", read_everything),
    "push v2": (PUSH, "v2", write_everything),
    "read v1": (v1(READ), "v1", read_everything),
    "push v1": (v1(PUSH), "v1", write_everything),
}


@pytest.mark.parametrize("case", POLICIES)
def test_the_policy_shown_suffices(harness: ProviderHarness, vault: VaultServer, case: str) -> None:
    rules, version, do = POLICIES[case]
    seed(vault, version)
    do(harness, vault, store(harness, vault, rules, version), version)


def without_one(rules: str) -> Iterator[str]:
    """`rules`, each time with one capability less."""
    for match in re.finditer(r'"(create|read|update|delete|list)"', rules):
        yield rules[: match.start()] + rules[match.end() :].removeprefix(", ")


@pytest.mark.parametrize("case", POLICIES)
def test_the_policy_shown_holds_nothing_too_much(
    harness: ProviderHarness, vault: VaultServer, case: str
) -> None:
    """Without any one of its capabilities something is denied: it is the least that is needed."""
    rules, version, do = POLICIES[case]
    seed(vault, version)
    for number, less in enumerate(without_one(rules), start=1):
        made = store(harness, vault, less, version, number)
        with pytest.raises(RpcError) as caught:
            do(harness, vault, made, version)  # nothing raised: `less` is enough
        assert caught.value.code() is StatusCode.PERMISSION_DENIED, less  # type: ignore[attr-defined]


def test_the_policy_of_a_generator_suffices(harness: ProviderHarness, vault: VaultServer) -> None:
    """A certificate instead of the README's database user; asking for one is a write."""
    pki = certificate_authority(vault)
    rules = DYNAMIC.replace(
        '"database/creds/app" { capabilities = ["read"] }',
        f'"{pki}/issue/app" {{ capabilities = ["update"] }}',
    )
    assert rules != DYNAMIC
    rules += 'path "auth/token/create" { capabilities = ["update"] }\n'
    spec = Bench(harness, vault).spec(None, token=vault.create_token(policies=[vault.write_policy(rules)]))
    body = {"provider": spec, "method": "POST", "revokeOnCleanup": True}
    made = {
        "lease": {**body, "path": f"{pki}/issue/app", "parameters": {"common_name": "a.example"}},
        "token": {**body, "path": "auth/token/create", "resultType": "Auth", "parameters": {"ttl": "5m"}},
    }
    for name, generator in made.items():
        handle = harness.add_generator("team-a", generator, name=name)
        _, state = harness.generate(handle)
        assert state
        harness.cleanup(handle, state)


@pytest.fixture(scope="module")
def shell(
    vault: VaultServer, go_binary: Any, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], None]:
    """Runs commands with the real CLI, logged in as root, in a folder with the files that they name."""
    folder = tmp_path_factory.mktemp("shell")
    (folder / "bin").mkdir()
    (folder / "bin" / "vault").symlink_to(go_binary("vault"))
    pair = CertificateAuthority(folder / "pki", "team CA").issue("team-a")
    (folder / "team-a.pem").write_bytes(pair.cert.read_bytes())
    env = {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "HOME": str(folder)}
    env |= {"VAULT_ADDR": vault.address, "VAULT_TOKEN": vault.root_token}

    def run(command: str) -> None:
        done = subprocess.run(
            ["bash", "-ec", command], cwd=folder, env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    return run


def test_vault_takes_the_commands_shown(
    vault: VaultServer, shell: Callable[[str], None], moto_server: MotoApi
) -> None:
    """Every way to log in that the README sets up, at its default mount, gives the policy `team-a`."""
    methods = {
        "approle": "role",
        "kubernetes": "role",
        "jwt": "role",
        "cert": "certs",
        "aws": "role",
        "gcp": "role",
    }
    for name in methods:
        vault("POST", f"/sys/auth/{name}", {"type": name})
    account = {"endpoint_url": moto_server.url, "region_name": "us-east-1"}
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    iam = boto3.client("iam", **account, **keys)
    iam.create_role(RoleName="team-a", AssumeRolePolicyDocument="{}")
    iam.close()
    endpoints = {"iam_endpoint": moto_server.url, "sts_endpoint": moto_server.url, "sts_region": "us-east-1"}
    vault("POST", "/auth/aws/config/client", {"access_key": "test", "secret_key": "test", **endpoints})
    vault("POST", "/secret/data/app", {"data": {"k": "v"}})
    for command in COMMANDS:
        shell(command)
    found = {
        name: vault("GET", f"/auth/{name}/{kind}/team-a")["data"]["token_policies"]
        for name, kind in methods.items()
    }
    assert found == {name: ["team-a"] for name in methods}
    assert vault("GET", "/secret/metadata/app")["data"]["custom_metadata"] == {
        "managed-by": "external-secrets"
    }


def test_the_example_s_commands_seed_what_its_manifests_ask_for(
    vault: VaultServer, shell: Callable[[str], None], tmp_path: Path
) -> None:
    (block,) = blocks(EXAMPLE, "sh")
    for line in block.splitlines():
        if line.startswith("vault "):
            shell(line)
    located = importlib.util.spec_from_file_location("demo", ROOT / "examples" / "vault" / "demo.py")
    assert located is not None
    assert located.loader is not None
    demo = importlib.util.module_from_spec(located)
    located.loader.exec_module(demo)
    demo.copy_manifests(vault, tmp_path / "manifests")
    core = [
        sys.executable,
        "-m",
        "eso_core",
        "dev",
        str(tmp_path / "manifests"),
        "--output",
        str(tmp_path / "out"),
    ]
    done = subprocess.run(core, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 of 4 synced" in done.stdout
