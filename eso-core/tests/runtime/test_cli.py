"""The command line as a person meets it."""

from __future__ import annotations

from typing import Any

import pytest
from eso_core.cli import run


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


def test_a_folder_without_stores_needs_no_providers(core: Any, folder: Any) -> None:
    """And is fine."""
    ended = core("dev", folder.path, "--output", folder.output)
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.startswith("no ExternalSecrets")
