"""The command line that every provider has."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from provider_common import cli
from provider_common.testing import issue_certs

SCRIPT = '''
from typing import ClassVar
from provider_common import Generated, GeneratorV2, Spec, serve
class PinSpec(Spec):
    """How long a PIN is."""
    kind: ClassVar = "Pin"
    digits: int = 6
class PinGenerator(GeneratorV2[PinSpec]):
    """Pins."""
    def generate(self, ctx):
        return Generated({"pin": b"1" * ctx.spec.digits})
serve(PinGenerator, name="provider-pin")
'''


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cli") / "pin.py"
    path.write_text(SCRIPT)
    return path


def run(script: Path, *arguments: str, **env: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, str(script), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=env or None,
    )


@pytest.mark.parametrize("command", [[], ["serve"], ["crds"], ["certs"], ["version"]])
def test_help_is_there_and_names_what_can_be_set(script, command) -> None:
    done = run(script, *command, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: provider-pin")


def test_no_command_is_an_error_that_shows_the_usage(script) -> None:
    done = run(script)
    assert done.returncode == 2
    assert "COMMAND" in done.stderr


def test_crds_prints_what_kubectl_can_apply(script) -> None:
    crd = yaml.safe_load(run(script, "crds").stdout)
    assert crd["kind"] == "CustomResourceDefinition"
    assert crd["metadata"]["name"] == "pins.provider.generator.external-secrets.io"


def test_version_says_the_contract_and_the_kinds(script) -> None:
    assert "contract 1.1" in run(script, "version").stdout
    told: dict[str, Any] = json.loads(run(script, "version", "--json").stdout)
    assert told["contractVersions"] == ["1.1", "1.0"]
    assert [kind["kind"] for kind in told["kinds"]] == ["Pin"]


def test_certs_makes_a_folder_that_serve_accepts_and_is_idempotent(script, tmp_path) -> None:
    first = run(
        script, "certs", "--out", str(tmp_path), "--service", "provider-pin.eso", "--host", "localhost"
    )
    assert first.returncode == 0, first.stderr
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    assert {"ca.crt", "tls.crt", "tls.key", "client.crt", "client.key"} <= set(before)
    assert run(script, "certs", "--out", str(tmp_path), "--service", "provider-pin.eso").returncode == 0
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--threads", "3"], "threads has to be at least 16"),
        (["--read-window", "soon"], "not a duration"),
        (["--port", "http"], "invalid"),
        (["--enable-tls", "maybe"], "true or false"),
    ],
)
def test_a_wrong_setting_is_named(script, tmp_path, arguments, text) -> None:
    done = run(script, "serve", "--manifests", str(tmp_path), *arguments)
    assert done.returncode in {1, 2}
    assert text in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "flags",
    [["--port=0", "--enable-tls", "--verbose"], ["--port", "0", "--enable-tls=true", "--verbose=false"]],
    ids=["bare", "written-out"],
)
def test_flags_are_taken_as_the_go_providers_take_them(script, tmp_path, flags) -> None:
    """A chart made for those passes flags and no command, and a switch with or without its value. That the missing folder of
    certificates is what is complained about shows that all was understood."""
    done = run(script, *flags, "--manifests", str(tmp_path), "--tls-dir", str(tmp_path / "none"))
    assert (done.returncode, str(tmp_path / "none") in done.stderr) == (1, True), done.stderr


def test_a_wrong_environment_variable_is_named(script, tmp_path) -> None:
    done = run(
        script, "serve", "--manifests", str(tmp_path), ESO_PROVIDER_READ_WINDOW="soon", PATH="/usr/bin:/bin"
    )
    assert done.returncode == 1
    assert "ESO_PROVIDER_READ_WINDOW" in done.stderr


def test_missing_certificates_are_named_with_the_fix(script, tmp_path) -> None:
    done = run(
        script, "serve", "--manifests", str(tmp_path), "--tls-dir", str(tmp_path / "none"), "--port", "0"
    )
    assert done.returncode == 1
    assert str(tmp_path / "none") in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_in_use_is_named(script, tmp_path) -> None:
    import socket

    certs = issue_certs(tmp_path / "certs", hosts=("localhost",))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run(
            script, "serve", "--manifests", str(tmp_path), "--tls-dir", str(certs.path), "--host", "127.0.0.1",
            "--port", str(port), "--http-port", "0",
        )  # fmt: skip
    assert done.returncode == 1
    assert f"127.0.0.1:{port}" in done.stderr
    assert "--port" in done.stderr


def test_plaintext_is_possible_only_when_asked_for_and_is_logged_loudly(script, tmp_path) -> None:
    ready = tmp_path / "ready.json"
    process = subprocess.Popen(
        [
            sys.executable, str(script), "serve", "--manifests", str(tmp_path), "--enable-tls=false", "--host", "127.0.0.1",
            "--port", "0", "--http-port", "0", "--http-host", "127.0.0.1", "--ready-file", str(ready),
        ],
        stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    assert process.stderr is not None
    with process.stderr:
        lines = [json.loads(process.stderr.readline())]
        while "serves gRPC" not in lines[-1]["msg"]:
            lines.append(json.loads(process.stderr.readline()))
        process.terminate()
        assert process.wait(timeout=30) == 0
    assert [line["level"] for line in lines if "TLS is off" in line["msg"]] == ["warning"]


def test_a_folder_that_is_not_there_is_named(script, tmp_path) -> None:
    """A provider that serves nothing because of a typing error would look well."""
    done = run(script, "serve", "--manifests", str(tmp_path / "none"))
    assert done.returncode == 1
    assert str(tmp_path / "none") in done.stderr


def test_flags_win_over_the_environment() -> None:
    parser = cli._parser("p", {})
    environ = {"ESO_PROVIDER_PORT": "1", "TLS_CERT_DIR": "/a"}
    config = cli._config(parser.parse_args(["serve", "--port", "2"]), environ)
    assert (config.port, str(config.tls_dir)) == (2, "/a")
