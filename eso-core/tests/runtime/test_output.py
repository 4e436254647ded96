"""What is written: whole, private, and by one core only."""

from __future__ import annotations

import os
import shutil
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


AMBIGUOUS = [
    "12345e7", "1E5", "+1e5", "1.e5", "1e-3", "0o17", "08", "017", "0x1F", "1_000", "y", "N", "yes", "~", "null", "", "1:30", "=",
    "2024-01-01", "2024-01-01T00:00:00Z", ".inf", "-", "<<", "\u0085", "a\nb", " a ", "#", "&a", "*a", "!a", "a: b",
]  # fmt: skip


@pytest.mark.parametrize("text", AMBIGUOUS, ids=map(repr, AMBIGUOUS))
def test_text_stays_text(output: Output, text: str) -> None:
    """A commit `12345e7` in a label is a number for Kubernetes, unless it stands in quotes; PyYAML does not know."""
    secret = Secret(Meta("s", "n", labels={"a": text}, annotations={"b": text}), finalizers=(text,))
    with output.opened():
        path = output.write_secret(secret)
        assert output.secret("n", "s") == secret
    label = path.read_text().partition("a: ")[2].partition("\n")[0]
    assert label == text or label[0] in "'\"", "plain, it would be a number, a boolean or nothing"
    assert label not in {"12345e7", "1E5", "+1e5", "1.e5", "1e-3", "0o17", "08", "y", "N"}


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


def test_the_results_of_other_manifests_are_not_written_over(output: Output, tmp_path: Path) -> None:
    """Two folders of one name have one default for the output; the second would remove the Secrets of the first."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    with output.opened(tmp_path / "one"):
        path = output.write_secret(SECRET)
    with (
        pytest.raises(OutputError, match=rf"holds what was made of {tmp_path}/one, .* name another folder"),
        output.opened(tmp_path / "two"),
    ):
        pass
    with output.opened(tmp_path / "one"):
        assert path.exists()
    (tmp_path / "one").rename(tmp_path / "moved")
    with output.opened(tmp_path / "moved"):
        assert path.exists()


def test_a_folder_that_was_removed_meanwhile_is_made_again(output: Output) -> None:
    """By somebody who wanted to begin anew while a core was watching."""
    with output.opened():
        output.write_secret(SECRET)
        shutil.rmtree(output.folder)
        assert output.write_secret(SECRET).exists()
        assert stat.S_IMODE(output.folder.stat().st_mode) == 0o700


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """With what to do about it."""
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(OutputError, match=r"can't be written to: .*: name another with --output"),
        Output(tmp_path / "file" / "x").opened(),
    ):
        pass
