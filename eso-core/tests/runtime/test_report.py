"""The table and the JSON."""

from __future__ import annotations

import json
from pathlib import Path

from eso_core.reconcile.world import Readiness
from eso_core.runtime.report import Report, Row, StoreRow, as_json, table

GOOD = Row("team-a", "app", "SecretSynced", True, "secret synced", 2, Path("out/secrets/team-a/app.yaml"))
BAD = Row("b", "other", "SecretSyncedError", False, "spec.data[0] (key 'k'): denied")
FOREIGN = Row("c", "theirs", "NotManaged", None, "a store of another controller class is used")


def test_the_table_has_a_line_for_each_and_a_sum() -> None:
    """What a person reads first; problems come before the sum, so that it stays the last line."""
    text = table(
        Report([GOOD, BAD, FOREIGN], problems=["x.yaml line 1: not valid YAML"], output=Path("out/secrets"))
    )
    assert text.splitlines() == [
        "NAMESPACE  EXTERNALSECRET  REASON             KEYS  MESSAGE",
        "team-a     app             SecretSynced       2     secret synced",
        "b          other           SecretSyncedError  0     spec.data[0] (key 'k'): denied",
        "c          theirs          NotManaged         0     a store of another controller class is used",
        "problem: x.yaml line 1: not valid YAML",
        "",
        "1 of 2 synced; Secrets are in out/secrets",
    ]


def test_every_row_and_problem_is_one_line() -> None:
    """Names come from manifests: a line break would forge a row, an escape sequence would reach the terminal."""
    row = Row("b", "other", "SecretSyncedError", False, "spec.a\nb\x1b[31m: is not a field")
    lines = table(Report([row], problems=["x\ry"], output=Path("out"))).splitlines()
    assert len(lines) == 5
    assert lines[1].endswith(r"spec.a\nb\x1b[31m: is not a field")
    assert lines[2] == r"problem: x\ry"


def test_an_empty_folder_is_told() -> None:
    """An empty table looks like a defect."""
    assert table(Report(output=Path("out"))).startswith("no ExternalSecrets\n")


def test_what_is_not_ours_does_not_count() -> None:
    """The exit status is about what this core looks after, and about the folder as a whole."""
    assert Report([GOOD, FOREIGN]).ok is True
    assert Report([GOOD, BAD]).ok is False
    assert Report([GOOD], problems=["x"]).ok is False


def test_the_json_says_the_same() -> None:
    """For programs, with the stores beside."""
    stores = [StoreRow("SecretStore", "team-a", "main", Readiness(True, "Valid", capabilities="ReadOnly"))]
    content = json.loads(as_json(Report([GOOD, BAD], stores, notes=["n"], output=Path("out/secrets"))))
    assert set(content) == {"ok", "output", "externalSecrets", "stores", "problems", "notes"}
    assert content["ok"] is False
    assert content["externalSecrets"][0] == {
        "namespace": "team-a",
        "name": "app",
        "ready": True,
        "reason": "SecretSynced",
        "message": "secret synced",
        "keys": 2,
        "secret": "out/secrets/team-a/app.yaml",
        "events": [],
    }
    assert content["externalSecrets"][1]["secret"] is None
    assert content["stores"] == [
        {
            "kind": "SecretStore",
            "namespace": "team-a",
            "name": "main",
            "ready": True,
            "reason": "Valid",
            "message": "",
            "capabilities": "ReadOnly",
        }
    ]
    assert (content["problems"], content["notes"]) == ([], ["n"])
