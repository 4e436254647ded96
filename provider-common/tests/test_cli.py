"""The command line that every provider has."""

import json
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
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


@pytest.fixture(scope="module")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return issue_certs(tmp_path_factory.mktemp("certs"), hosts=("localhost",)).path


def run(script: Path, *arguments: str, **env: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, str(script), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=env or None,
    )


@pytest.mark.parametrize("command", [[], ["serve"], ["crds"], ["rbac"], ["certs"], ["version"]])
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


def test_rbac_prints_what_kubectl_can_apply(script) -> None:
    done = run(script, "rbac", "--service-account", "pin.eso")
    assert [manifest["kind"] for manifest in yaml.safe_load_all(done.stdout)] == [
        "ServiceAccount",
        "ClusterRole",
        "ClusterRoleBinding",
    ]

    done = run(script, "rbac", "--service-account", "pin")
    assert (done.returncode, "has to be NAME.NAMESPACE" in done.stderr) == (1, True)


def test_help_shows_defaults_as_one_would_write_them(script) -> None:
    """So that they can be copied."""
    text = " ".join(run(script, "serve", "--help").stdout.split())
    assert "default: 900s)" in text
    assert "default: true)" in text


def test_version_says_the_contract_and_the_kinds(script) -> None:
    assert "contract 1.1" in run(script, "version").stdout
    assert run(script, "--version").stdout == run(script, "version").stdout
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
        (["--port", "http"], "--port: 'http' has to be a whole number"),
        (["--port", "99999"], "--port: '99999' is no port: it has to be a number from 0 to 65535"),
        (["--http-port=-1"], "--http-port: '-1' is no port"),
        (["--threads", "9" * 5000], "has to be a whole number"),
        (["--drain=-1s"], "drain must not be negative"),
        (["--enable-tls", "maybe"], "true or false"),
        (["--manifests", "{file}"], "there is no such folder"),
        (
            ["--ready-file", "{tmp}/none/ready"],
            "--ready-file {tmp}/none/ready: the folder {tmp}/none is not there",
        ),
        (["--ready-file", "{tmp}"], "--ready-file {tmp}: this is a folder"),
        (["--kubeconfig", "{file}"], "kubeconfig {file} can't be used"),
        (["--host", "not.a.host.invalid"], "Can't listen on not.a.host.invalid:0 ("),
        (["--host", "x" * 300], "that can't be the name of a host"),
        (["--host", "192.0.2.1"], "Can't listen on 192.0.2.1:0 (Cannot assign requested address)"),
        (
            ["--http-host", "192.0.2.1"],
            "Can't listen on 192.0.2.1:0 for HTTP (Cannot assign requested address)",
        ),
    ],
    ids=lambda case: case[:60] if isinstance(case, str) else None,
)
def test_a_wrong_setting_is_named(script, certs, tmp_path, arguments, text) -> None:
    """In one line at the end that says what to change."""
    file = tmp_path / "file"
    file.touch()
    names = {"tmp": str(tmp_path), "file": str(file)}
    given = [argument.format_map(names) for argument in arguments]
    if "--kubeconfig" not in given:
        given = ["--manifests", str(tmp_path), *given]
    defaults = ["--tls-dir", str(certs), "--host", "127.0.0.1", "--port", "0", "--http-port", "0"]
    done = run(script, "serve", *defaults, *given)
    assert done.returncode in {1, 2}
    assert text.format_map(names) in done.stderr.splitlines()[-1]
    assert done.stderr.splitlines()[-1].startswith("provider-pin")
    assert "Traceback" not in done.stderr
    assert sorted(tmp_path.iterdir()) == [file], "nothing is left behind"


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


@pytest.mark.parametrize(
    ("variable", "value", "text"),
    [
        ("ESO_PROVIDER_READ_WINDOW", "soon", "'soon' is not a duration"),
        ("ESO_PROVIDER_PORT", "65536", "'65536' is no port"),
        (
            "ESO_PROVIDER_PORT",
            "tcp://10.96.0.12:8080",
            "'tcp://10.96.0.12:8080' is what Kubernetes sets for a Service",
        ),
        ("ESO_PROVIDER_THREADS", "many", "'many' has to be a whole number"),
        ("ESO_PROVIDER_ENABLE_TLS", "perhaps", "'perhaps' has to be true or false"),
        ("ESO_PROVIDER_VERBOSE", "perhaps", "'perhaps' has to be true or false"),
    ],
)
def test_a_wrong_environment_variable_is_named(script, tmp_path, variable, value, text) -> None:
    done = run(script, "serve", "--manifests", str(tmp_path), PATH="/usr/bin:/bin", **{variable: value})
    assert done.returncode == 1
    assert done.stderr.startswith(f"provider-pin: {variable}: {text}")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--out", "{file}"], "--out {file}: certificates can't be kept there (Not a directory)"),
        (["--out", "/proc/none"], "--out /proc/none: certificates can't be kept there"),
        (
            ["--out", "{tmp}/new", "--host", "bad host!"],
            "'bad host!' is neither an address nor the name of a host",
        ),
        (["--out", "{tmp}/new", "--host", ""], "'' is neither"),
        (["--out", "{tmp}/new", "--host", "x" * 300], "is neither"),
        (["--out", "{tmp}/new", "--host", "m\u00fcller.example"], "(international names as xn--...)"),
        (["--out", "{tmp}/new", "--service", "x"], "--service 'x' has to be NAME.NAMESPACE"),
    ],
    ids=lambda case: case[:60] if isinstance(case, str) else None,
)
def test_certificates_that_can_not_be_made_leave_nothing_behind(script, tmp_path, arguments, text) -> None:
    """And say in one line why."""
    file = tmp_path / "file"
    file.touch()
    names = {"tmp": str(tmp_path), "file": str(file)}
    done = run(script, "certs", *(argument.format_map(names) for argument in arguments))
    assert done.returncode == 1
    assert text.format_map(names) in done.stderr
    assert (done.stderr.count("\n"), done.stdout) == (1, "")
    assert sorted(tmp_path.iterdir()) == [file]


def test_missing_certificates_are_named_with_the_fix(script, tmp_path) -> None:
    done = run(
        script, "serve", "--manifests", str(tmp_path), "--tls-dir", str(tmp_path / "none"), "--port", "0"
    )
    assert done.returncode == 1
    assert str(tmp_path / "none") in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_in_use_is_named(script, tmp_path) -> None:
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
    text = f"Can't listen on 127.0.0.1:{port} (Address already in use): choose another with --port, or --host"
    assert done.stderr.splitlines()[-1] == f"provider-pin: {text}"


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


@pytest.mark.parametrize("host", ["::1", "[::1]"])
def test_ipv6_is_served_with_and_without_brackets(script, certs, tmp_path, host) -> None:
    ready = tmp_path / "ready.json"
    with serving(script, certs, tmp_path, "--host", host, "--http-host", host) as process:
        ports = json.loads(ready.read_text())
        with urllib.request.urlopen(f"http://[::1]:{ports['http_port']}/readyz", timeout=10) as answer:
            assert answer.read() == b"ok"
        with socket.create_connection(("::1", ports["port"]), timeout=10):
            pass
        process.terminate()
        assert process.wait(timeout=30) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_signals_that_come_again_and_again_do_not_turn_a_drain_into_a_failure(
    script, certs, tmp_path, number
) -> None:
    """Also while the interpreter is already ending."""
    with serving(script, certs, tmp_path, "--host", "127.0.0.1", "--http-host", "127.0.0.1") as process:
        while process.poll() is None:
            process.send_signal(number)
            threading.Event().wait(0.002)
        assert process.returncode == 0


@contextmanager
def serving(script: Path, certs: Path, folder: Path, *arguments: str) -> "Iterator[subprocess.Popen[bytes]]":
    """A provider over the manifests of `folder`, once it is ready."""
    ready = folder / "ready.json"
    words = ["serve", "--manifests", str(folder), "--tls-dir", str(certs), "--port", "0", "--http-port", "0"]
    process = subprocess.Popen(
        [sys.executable, str(script), *words, "--ready-file", str(ready), *arguments],
        stderr=subprocess.DEVNULL,
    )
    try:
        end = time.monotonic() + 30
        while not ready.exists():
            assert process.poll() is None
            assert time.monotonic() < end
            threading.Event().wait(0.01)
        yield process
    finally:
        process.kill()
        process.wait()
