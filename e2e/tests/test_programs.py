"""Every program that is built is the release that its pins say, and does what it is there for."""

from __future__ import annotations

import json
import subprocess
from concurrent import futures
from pathlib import Path

import grpc
import pytest
from eso_e2e.fixtures import GoBinary
from google.protobuf import descriptor_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

pytestmark = pytest.mark.real


@pytest.mark.parametrize(
    ("name", "arguments", "release"),
    [
        ("etcd", ["--version"], "etcd Version: 3.6.16"),
        ("kube-apiserver", ["--version"], "Kubernetes v1.36.3"),
        ("vault", ["version"], "Vault v1.21.0"),
        ("helm", ["version", "--short"], "v3.22.0"),
        ("ghz", ["--version"], "v0.120.0"),
    ],
    ids=lambda value: value if isinstance(value, str) and " " not in value and value[0] != "v" else "",
)
def test_the_program_is_the_pinned_release(
    go_binary: GoBinary, name: str, arguments: list[str], release: str
) -> None:
    """Results name the releases they were made with; a binary must say the same. One on PATH may be another."""
    program = go_binary(name)
    if "eso-providers" not in program.parts:
        pytest.skip(
            f"{program} was not built from the pins; `python -m eso_e2e build {name}` makes one that is"
        )

    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=True)

    assert (done.stdout + done.stderr).startswith(release)


def test_ghz_measures_a_server(ghz_binary: Path, tmp_path: Path) -> None:
    """The load generator calls a real server and counts its answers.

    It is given the messages: it asks reflection for a method's own symbol, which Python's descriptor pool does not know.
    """
    described = descriptor_pb2.FileDescriptorSet()
    health_pb2.DESCRIPTOR.CopyToProto(described.file.add())
    (tmp_path / "health.protoset").write_bytes(described.SerializeToString())
    server = grpc.server(futures.ThreadPoolExecutor(4))
    health_pb2_grpc.add_HealthServicer_to_server(health.HealthServicer(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    command: list[str | Path] = [
        ghz_binary,
        "--insecure",
        "--protoset",
        tmp_path / "health.protoset",
        "-O",
        "json",
        "-n",
        "40",
        "-c",
        "4",
    ]

    command += ["--call", "grpc.health.v1.Health/Check", f"127.0.0.1:{port}"]

    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    server.stop(None).wait()

    report = json.loads(done.stdout)
    assert report["statusCodeDistribution"] == {"OK": 40}


def test_helm_renders_a_chart(go_binary: GoBinary, tmp_path: Path) -> None:
    """Charts are rendered by the real Helm, offline."""
    (tmp_path / "templates").mkdir()
    (tmp_path / "Chart.yaml").write_text("apiVersion: v2\nname: tiny\nversion: 0.1.0\n")
    template = "kind: ConfigMap\napiVersion: v1\nmetadata: {name: {{ .Release.Name }}}\n"
    (tmp_path / "templates" / "it.yaml").write_text(template)

    done = subprocess.run(
        [go_binary("helm"), "template", "mine", tmp_path], capture_output=True, text=True, check=True
    )

    assert "metadata: {name: mine}" in done.stdout
