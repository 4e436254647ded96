"""Each distribution builds a wheel that installs and runs alone, outside of the checkout."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import grpc
import pytest
from provider_common.testing import issue_certs
from provider_proto.generator.v1 import generator_pb2

ROOT = Path(__file__).resolve().parents[1]
UV = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
MEMBERS = {
    "proto": "provider_proto",
    "provider-common": "provider_common",
    "provider-password": "provider_password",
    "provider-contrib": "provider_contrib",
    "provider-vault": "provider_vault",
    "provider-aws": "provider_aws",
    "provider-gcp": "provider_gcp",
    "eso-core": "eso_core",
    "conformance": "provider_conformance",
}

pytestmark = pytest.mark.xdist_group("wheels")


def run(*command: str, cwd: Path) -> str:
    environ = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    done = subprocess.run(
        command, cwd=cwd, env=environ, capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All wheels, in one folder."""
    assert UV is not None, "uv is part of the development environment"
    out = tmp_path_factory.mktemp("wheels")
    for member in MEMBERS:
        run(UV, "build", "--quiet", "--wheel", "--out-dir", str(out), member, cwd=ROOT)
    return out


def install(wheels: Path, folder: Path, distribution: str) -> Path:
    """An empty environment with one distribution in it; only its own requirements come along."""
    assert UV is not None
    env = folder / "env"
    run(UV, "venv", "--quiet", "--python", sys.executable, str(env), cwd=folder)
    python = env / "bin" / "python"
    run(
        UV, "pip", "install", "--quiet", "--python", str(python), "--find-links", str(wheels), distribution, cwd=folder
    )  # fmt: skip
    return env


def test_every_distribution_builds_and_carries_its_types_and_licence(wheels: Path) -> None:
    import zipfile

    built = sorted(path.name.split("-")[0] for path in wheels.glob("*.whl"))
    names = {"proto": "provider_proto", "conformance": "provider_conformance"}
    assert built == sorted(names.get(member, member.replace("-", "_")) for member in MEMBERS)
    for path in wheels.glob("*.whl"):
        with zipfile.ZipFile(path) as wheel:
            names_inside = wheel.namelist()
            assert any(name.endswith("/py.typed") for name in names_inside), path.name
            assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names_inside), path.name


def test_provider_password_runs_alone_and_answers_over_mutual_tls(wheels: Path, tmp_path: Path) -> None:
    """`pip install provider-password`, then `provider-password serve`, from a folder outside of the checkout."""
    env = install(wheels, tmp_path, "provider-password")
    command = str(env / "bin" / "provider-password")
    assert "provider-password" in run(command, "version", cwd=tmp_path)
    manifests = tmp_path / "manifests"
    manifests.mkdir()
    (manifests / "uuid.yaml").write_text(
        "apiVersion: provider.generator.external-secrets.io/v2alpha1\nkind: Password\n"
        "metadata: {name: main, namespace: team-a}\nspec: {length: 30}\n"
    )
    certs = issue_certs(tmp_path / "certs", hosts=("localhost",))
    ready = tmp_path / "ready.json"
    process = subprocess.Popen(
        [
            command, "serve", "--manifests", str(manifests), "--tls-dir", str(certs.path), "--host", "127.0.0.1",
            "--port", "0", "--http-port", "0", "--ready-file", str(ready),
        ],
        cwd=tmp_path,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while not ready.exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        credentials = grpc.ssl_channel_credentials(
            certs.ca_file.read_bytes(), certs.client_key.read_bytes(), certs.client_cert.read_bytes()
        )
        port = json.loads(ready.read_text())["port"]
        with grpc.secure_channel(f"localhost:{port}", credentials) as channel:
            generate = channel.unary_unary(
                "/generator.v1.GeneratorProvider/Generate",
                request_serializer=generator_pb2.GenerateRequest.SerializeToString,
                response_deserializer=generator_pb2.GenerateResponse.FromString,
            )
            ref = generator_pb2.GeneratorRef(
                api_version="provider.generator.external-secrets.io/v2alpha1",
                kind="Password",
                name="main",
                namespace="team-a",
            )
            answer = generate(
                generator_pb2.GenerateRequest(generator_ref=ref, source_namespace="team-a"), timeout=20
            )
        assert len(answer.secrets["password"]) == 30
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(timeout=40)
    assert code == 0


@pytest.mark.slow
@pytest.mark.parametrize("distribution", ["eso-core", "provider-conformance", "provider-contrib"])
def test_the_commands_run_alone(wheels: Path, tmp_path: Path, distribution: str) -> None:
    env = install(wheels, tmp_path, distribution)
    assert "usage" in run(str(env / "bin" / distribution), "--help", cwd=tmp_path)


def test_the_suite_comes_without_the_sdk(wheels: Path) -> None:
    import zipfile

    (wheel,) = wheels.glob("provider_conformance-*.whl")
    with zipfile.ZipFile(wheel) as content:
        (metadata,) = [name for name in content.namelist() if name.endswith("METADATA")]
        requires = [
            line for line in content.read(metadata).decode().splitlines() if line.startswith("Requires-Dist")
        ]
    assert requires
    assert not [line for line in requires if "provider-common" in line]
