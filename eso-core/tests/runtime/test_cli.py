"""The command line as a person meets it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from eso_core.cli import run
from provider_common.testing import issue_certs


@pytest.mark.parametrize("arguments", [["--help"], ["dev", "--help"], ["sync", "--help"]])
def test_help_is_there(arguments: list[str], capsys: Any) -> None:
    """With the exit statuses, for whoever writes a script."""
    with pytest.raises(SystemExit) as ended:
        run(arguments)
    text = capsys.readouterr().out
    assert ended.value.code == 0
    assert ("exit status:" in text) is (len(arguments) > 1)


def test_the_version_is_told(capsys: Any) -> None:
    """For bug reports."""
    assert run(["version"]) == 0
    assert capsys.readouterr().out.startswith("eso-core 0.")


def test_a_folder_that_is_none_is_a_usage_error(core: Any, tmp_path: Any) -> None:
    """Status 2, one line, no traceback."""
    ended = core("dev", tmp_path / "gone")
    assert (ended.status, ended.out) == (2, "")
    assert ended.err == f"eso-core: {tmp_path / 'gone'} is not a folder: name one with manifests\n"


@pytest.mark.parametrize("inside", ["out", "."])
def test_the_output_stays_out_of_the_input(core: Any, folder: Any, inside: str) -> None:
    """Secrets that were written would be read as manifests, by the providers too."""
    ended = core("dev", folder.path, "--output", folder.path / inside)
    assert ended.status == 2
    assert "lies inside" in ended.err
    assert list(folder.path.iterdir()) == []


@pytest.mark.parametrize("part", ["secrets", "status/team-a"])
def test_the_input_stays_out_of_the_output(core: Any, folder: Any, part: str) -> None:
    """DIR is never written to, also when it is named by mistake."""
    inside = folder.output / part
    inside.mkdir(parents=True)
    ended = core("dev", inside, "--output", folder.output)
    assert ended.status == 2
    assert f"{inside} lies inside the output {folder.output}" in ended.err


def test_the_results_of_another_folder_are_a_usage_error(core: Any, folder: Any, tmp_path: Any) -> None:
    """By default both would go to `build/manifests`."""
    (tmp_path / "other" / "manifests").mkdir(parents=True)
    assert core("dev", folder.path, "--output", folder.output).status == 0
    ended = core("dev", tmp_path / "other" / "manifests", "--output", folder.output)
    assert (ended.status, ended.out) == (2, "")
    assert f"holds what was made of {folder.path}" in ended.err
    assert ended.err.count("\n") == 1


def test_certificates_that_are_missing_are_a_usage_error(core: Any, folder: Any, tmp_path: Any) -> None:
    """Nothing can be synced without them."""
    ended = core("sync", folder.path, "--tls-dir", tmp_path, "--output", folder.output)
    assert ended.status == 2
    assert "ca.crt" in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("endpoint", ["x", "a:1=b", "a=b:1"])
def test_a_wrong_endpoint_is_a_usage_error(core: Any, folder: Any, endpoint: str) -> None:
    """It says how one looks."""
    ended = core("sync", folder.path, "--tls-dir", ".", "--endpoint", endpoint)
    assert ended.status == 2
    assert "ADDRESS=HOST:PORT" in ended.err


def test_an_endpoint_that_no_store_names_is_told(core: Any, folder: Any, tmp_path: Any) -> None:
    """A spelling mistake would otherwise be looked for in the network."""
    folder.write("a.yaml", folder.store)
    certs = issue_certs(tmp_path / "tls")
    ended = core(
        *("sync", folder.path, "--output", folder.output, "--tls-dir", certs.path),
        *("--endpoint", "provider-contrb:8080=127.0.0.1:1"),
    )
    assert ended.status == 0
    assert f"--endpoint provider-contrb:8080: no store in {folder.path} has this address" in ended.err


@pytest.mark.parametrize("port", ["0", "-1", "65536", "x", "١"])
def test_a_wrong_port_is_a_usage_error(core: Any, folder: Any, port: str) -> None:
    """It says what one may be."""
    ended = core("dev", folder.path, "--watch", f"--metrics-port={port}")
    assert ended.status == 2
    assert "has to be a port from 1 to 65535" in ended.err


def test_metrics_of_a_single_pass_are_a_usage_error(core: Any, folder: Any) -> None:
    """Better than a port that nobody ever serves."""
    ended = core("dev", folder.path, "--metrics-port", "9090")
    assert ended.status == 2
    assert "--metrics-port goes with --watch" in ended.err


@pytest.mark.parametrize("how", ["closed", "full"])
def test_a_result_that_can_not_be_told_is_no_traceback(folder: Any, how: str) -> None:
    """`eso-core ... | head`, or a full disk behind `>`."""
    target: str | int = "/dev/full" if how == "full" else broken_pipe()
    command = [sys.executable, "-m", "eso_core", "dev", folder.path, "--output", folder.output]
    with open(target, "wb") as out:  # noqa: PTH123 - a descriptor has no path
        ended = subprocess.run(
            command, stdout=out, stderr=subprocess.PIPE, text=True, timeout=60, check=False
        )
    assert ended.returncode == 2
    assert ended.stderr.startswith("eso-core: ")
    assert "standard output" in ended.stderr
    assert ended.stderr.count("\n") == 1


def broken_pipe() -> int:
    reader, writer = os.pipe()
    os.close(reader)
    return writer


def test_a_name_that_is_no_text_can_be_told(core: Any, folder: Any) -> None:
    """Names of files are bytes, and not every terminal knows every character."""
    Path(os.fsdecode(os.fsencode(folder.path) + b"/b\xff.yaml")).write_text("x: [")
    folder.write("ä.yaml", "x: [")
    for options in ([], ["--json"]):
        ended = core("dev", folder.path, "--output", folder.output, *options, PYTHONIOENCODING="ascii")
        assert ended.status == 1
        assert "not valid YAML" in ended.out
        assert "Traceback" not in ended.err


def test_a_folder_without_stores_needs_no_providers(core: Any, folder: Any) -> None:
    """And is fine."""
    ended = core("dev", folder.path, "--output", folder.output)
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.startswith("no ExternalSecrets")
