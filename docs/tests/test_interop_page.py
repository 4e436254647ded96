"""docs/interop.md: its manifests are those of the providers as they are, and the tests it names exist."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from provider_common import ServerConfig
from provider_common.rbac import cluster_role_rules
from provider_contrib import KINDS
from provider_contrib.fake.spec import FakeStoreSpec

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/interop.md").read_text(encoding="utf-8")


def manifests(kind: str) -> Iterator[dict[str, Any]]:
    for block in re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
        yield from (found for found in yaml.safe_load_all(block) if found["kind"] == kind)


def only(kind: str) -> dict[str, Any]:
    (found,) = manifests(kind)
    return found


def test_the_pod_has_ports_probes_and_files_as_the_provider_wants_them() -> None:
    """Whoever copies the manifest gets a pod that becomes ready."""
    pod = only("Deployment")["spec"]["template"]["spec"]
    (container,), (volume,) = pod["containers"], pod["volumes"]
    config = ServerConfig()

    assert [port["containerPort"] for port in container["ports"]] == [config.port, config.http_port]
    assert container["volumeMounts"][0]["mountPath"] == str(config.tls_dir)
    files = [item["path"] for item in volume["secret"]["items"]]
    assert files == [config.ca_file, config.cert_file, config.key_file]
    assert pod["terminationGracePeriodSeconds"] > config.drain


def test_the_flags_of_the_pod_are_taken(tmp_path: Path) -> None:
    """That only the certificates are missing shows that every flag was understood."""
    (container,) = only("Deployment")["spec"]["template"]["spec"]["containers"]
    command = [sys.executable, "-m", "provider_contrib", *container["args"]]
    nothing = str(tmp_path / "none")
    done = subprocess.run(
        [*command, "--manifests", str(tmp_path), "--tls-dir", nothing],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, nothing in done.stderr) == (1, True), done.stderr


def test_the_role_allows_what_the_provider_reads() -> None:
    """No more and no less than its own objects, aliases included."""
    rules = only("ClusterRole")["rules"]
    allowed = {
        (group, tuple(rule["resources"]), tuple(rule["verbs"]))
        for rule in rules
        for group in rule["apiGroups"]
    }
    wanted = {
        (group, tuple(rule["resources"]), tuple(rule["verbs"]))
        for rule in cluster_role_rules(*KINDS)
        for group in rule["apiGroups"]
    }
    assert allowed == wanted


def test_every_config_object_is_a_good_one_of_the_alias() -> None:
    """The core's references and the objects name the same kind."""
    aliases = {(alias.api_version, alias.kind) for alias in FakeStoreSpec.aliases}
    found = list(manifests("Fake"))
    assert len(found) == 2
    for item in found:
        FakeStoreSpec.model_validate_json(json.dumps(item["spec"]))
        assert (item["apiVersion"], item["kind"]) in aliases
    for kind in ("SecretStore", "ClusterSecretStore", "Provider", "ClusterProvider"):
        spec = only(kind)["spec"]
        ref = spec.get("config", spec)["providerRef"]
        assert (ref["apiVersion"], ref["kind"], ref["name"]) == (*next(iter(aliases)), "values")


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(test_interop_\w+\.py)`", PAGE))))
def test_a_named_test_exists(name: str) -> None:
    """A claim without its test is none."""
    assert (ROOT / "e2e/tests" / name).is_file()


def test_every_interoperability_test_is_named() -> None:
    """What is tried is told."""
    assert {path.name for path in (ROOT / "e2e/tests").glob("test_interop_*.py")} == set(
        re.findall(r"`(test_interop_\w+\.py)`", PAGE)
    )
