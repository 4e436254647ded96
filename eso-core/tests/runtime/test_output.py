"""What is written: whole, private, and by one core only."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest
from eso_core.api.meta import Meta
from eso_core.api.secrets import Secret
from eso_core.runtime.output import Output, OutputError

SECRET = Secret(Meta("s", "n", labels={"b": "2", "a": "1"}), {"z": b"\xff", "a": b"1"})


@pytest.fixture
def output(tmp_path: Path) -> Output:
    return Output(tmp_path / "out")


def test_everything_written_is_private(output: Output) -> None:
    """Folders 0700, files 0600, whatever the umask says."""
    before = os.umask(0)
    try:
        with output.opened():
            output.write_secret(SECRET)
    finally:
        os.umask(before)
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in [output.folder, *output.folder.rglob("*")]}
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in modes.items() if path.is_file()} == {0o600}


def test_what_is_written_is_what_is_read(output: Output) -> None:
    """And the same Secret is the same text."""
    with output.opened():
        path = output.write_secret(SECRET)
        text = path.read_text()
        assert path == output.folder / "secrets" / "n" / "s.yaml"
        assert output.secret("n", "s") == SECRET
        output.write_secret(SECRET)
    assert path.read_text() == text
    assert text.index("a: MQ==") < text.index("z: /w==")


@pytest.mark.parametrize("moment", ["fsync", "replace"])
def test_an_interruption_leaves_the_old_file(output: Output, monkeypatch: Any, moment: str) -> None:
    """Half a Secret is worse than an old one."""
    with output.opened():
        path = output.write_secret(SECRET)
        old = path.read_bytes()

        def interrupted(*_arguments: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(*((os, "fsync") if moment == "fsync" else (Path, "replace")), interrupted)
        with pytest.raises(KeyboardInterrupt):
            output.write_secret(Secret(Meta("s", "n"), {"a": b"other"}))
    assert path.read_bytes() == old
    assert [found.name for found in path.parent.iterdir()] == ["s.yaml"]


def test_what_a_killed_run_left_half_written_is_removed(output: Output) -> None:
    """It may hold a value, and nobody else would look for it."""
    with output.opened():
        path = output.write_secret(SECRET)
    half = path.with_name(".s.yaml.123.tmp")
    half.write_bytes(b"apiVersion: v1\nkind: Sec")
    with output.opened():
        assert not half.exists()
    assert path.exists()


def test_two_cores_do_not_share_a_folder(output: Output) -> None:
    """Each would undo what the other does."""
    with (
        output.opened(),
        pytest.raises(OutputError, match="another eso-core is writing to"),
        Output(output.folder).opened(),
    ):
        pass
    with output.opened():
        pass


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """With what to do about it."""
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(OutputError, match=r"can't be written to: .*: name another with --output"),
        Output(tmp_path / "file" / "x").opened(),
    ):
        pass
