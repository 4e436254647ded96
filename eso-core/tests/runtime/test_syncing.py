"""Passes over a folder: what is written in which order, what is removed, what is tried again."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from eso_core.reconcile.calls import CallError, Made
from eso_core.reconcile.externalsecret import Trigger
from eso_core.runtime import syncing
from eso_core.runtime.output import Output


def test_a_secret_is_written_and_told(passes: Any, folder: Any) -> None:
    """One row for each ExternalSecret, with the path and no value."""
    report = passes.run()
    (row,) = report.rows
    assert (row.namespace, row.name, row.reason, row.ready, row.keys) == (
        "team-a",
        "app",
        "SecretSynced",
        True,
        1,
    )
    assert row.secret == folder.output / "secrets" / "team-a" / "app.yaml"
    assert folder.secret().data == {"v": b"value"}
    assert report.ok is True
    assert [(store.kind, store.readiness.ready) for store in report.stores] == [("SecretStore", True)]


def test_a_second_process_knows_what_the_first_did(passes: Any, folder: Any, calls: Any) -> None:
    """Status is kept beside the Secrets; nothing is asked before it is due."""
    passes.run()
    calls.asked.clear()
    again = type(passes)(folder, calls, passes.now)
    again.later(minutes=10)
    row = again.row()
    assert (row.reason, row.message) == ("SecretSynced", "up to date, next sync in 50m")
    assert calls.asked == []


def test_a_changed_provider_object_is_seen(passes: Any, folder: Any, calls: Any) -> None:
    """A developer who edits a value wants to see what comes of it, not wait for an hour."""
    passes.run()
    folder.write("a.yaml", folder.store.replace("from-fake", "changed"), folder.external)
    calls.secrets = {"k": b"changed"}
    passes.run()
    assert folder.secret().data == {"v": b"changed"}


def test_a_changed_template_source_is_seen(passes: Any, folder: Any) -> None:
    """Templates from ConfigMaps belong to what the result depends on."""
    template = "  target: {template: {templateFrom: [{configMap: {name: t, items: [{key: f}]}}]}}\n"
    config_map = (
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: t, namespace: team-a}, data: {f: 'one {{ .v }}'}}"
    )
    folder.write("a.yaml", folder.store, folder.external + template, config_map)
    passes.run()
    assert folder.secret().data == {"f": b"one value"}
    folder.write("a.yaml", folder.store, folder.external + template, config_map.replace("one", "two"))
    passes.run()
    assert folder.secret().data == {"f": b"two value"}


def test_a_template_may_be_a_secret_of_the_same_pass(
    passes: Any, folder: Any, calls: Any, monkeypatch: Any
) -> None:
    """Whoever runs one pass must not need luck: what is read is made first, whatever the order of names."""
    monkeypatch.setattr(syncing, "WORKERS", 1)
    calls.secrets["other"] = b"other"
    folder.write(
        "0.yaml",
        folder.external.replace("name: app", "name: aaa").replace("key: k", "key: other")
        + "  target: {template: {templateFrom: [{secret: {name: app, items: [{key: v}]}}]}}\n",
    )
    report = passes.run()
    assert [(row.name, row.ready) for row in report.rows] == [("aaa", True), ("app", True)]
    assert folder.secret(name="aaa").data == {"v": b"value"}


def test_one_failure_does_not_keep_others(passes: Any, folder: Any) -> None:
    """Every ExternalSecret gets its row, in order of namespace and name."""
    folder.write("b.yaml", folder.external.replace("name: app", "name: bad").replace("key: k", "key: gone"))
    folder.write("c.yaml", folder.external.replace("name: app", "name: wrong").replace("  data:", "  dta:"))
    folder.write("d.yaml", folder.external.replace("name: app", "name: elsewhere").replace("team-a", "other"))
    report = passes.run()
    assert [(row.namespace, row.name, row.ready) for row in report.rows] == [
        ("other", "elsewhere", False),
        ("team-a", "app", True),
        ("team-a", "bad", False),
        ("team-a", "wrong", False),
    ]
    assert "SecretStore other/main does not exist" in report.rows[0].message
    assert "spec.dta: is not a field" in report.rows[3].message
    assert report.ok is False


def test_a_store_that_cannot_be_used_says_why(passes: Any, folder: Any) -> None:
    """In the row of whoever uses it."""
    folder.write("a.yaml", folder.store.replace("address: p", "address: https://p"), folder.external)
    assert "SecretStore team-a/main: spec.providerConfig.address: has to be host:port" in passes.row().message


def test_a_defect_is_told_without_what_it_was_about(passes: Any, calls: Any) -> None:
    """Its text may hold the value that was being handled."""
    calls.secrets = {"k": RuntimeError("canary")}
    row = passes.row()
    assert row.message == "internal error (RuntimeError): please report it, with the manifest"
    assert row.ready is False


def test_a_store_is_asked_about_once_in_a_pass(passes: Any, folder: Any, calls: Any) -> None:
    """However many use it at the same time; and again when its interval is over or it was not ready."""
    for number in range(20):
        folder.write(f"es{number}.yaml", folder.external.replace("name: app", f"name: app-{number}"))
    passes.run()
    assert calls.methods().count("validate") == 1
    passes.run(trigger=Trigger.READ)
    assert calls.methods().count("validate") == 1
    calls.verdict = CallError("away")
    folder.write(
        "a.yaml",
        folder.store.replace("spec:\n  prov", "spec:\n  refreshInterval: 1m\n  prov"),
        folder.external,
    )
    report = passes.run(trigger=Trigger.READ)
    assert calls.methods().count("validate") == 2
    assert "is not ready: away" in report.rows[0].message
    passes.run(trigger=Trigger.READ)
    assert calls.methods().count("validate") == 3


def test_two_external_secrets_with_one_target_are_told_apart(passes: Any, folder: Any) -> None:
    """The first in order wins, every time, and the other is told."""
    folder.write("b.yaml", folder.external.replace("name: app,", "name: zzz,") + "  target: {name: app}\n")
    for _ in range(3):
        report = passes.run(trigger=Trigger.EVERYTHING)
        assert [(row.name, row.ready) for row in report.rows] == [("app", True), ("zzz", False)]
        assert "was made by another ExternalSecret" in report.rows[1].message


def test_a_secret_goes_with_its_external_secret(passes: Any, folder: Any) -> None:
    """As Kubernetes does it for Owner; an Orphan stays."""
    folder.write(
        "b.yaml",
        folder.external.replace("name: app", "name: orphan") + "  target: {creationPolicy: Orphan}\n",
    )
    folder.write("c.yaml", folder.external.replace("name: app", "name: moved") + "  target: {name: before}\n")
    passes.run()
    folder.write("a.yaml", folder.store)
    (folder.path / "b.yaml").unlink()
    folder.write("c.yaml", folder.external.replace("name: app", "name: moved") + "  target: {name: after}\n")
    report = passes.run()
    names = sorted(path.stem for path in (folder.output / "secrets" / "team-a").iterdir())
    assert names == ["after", "orphan"]
    assert sorted(path.stem for path in (folder.output / "status" / "team-a").iterdir()) == ["moved"]
    assert "Secret team-a/app removed: its ExternalSecret is gone" in report.notes


@pytest.mark.parametrize("trouble", ["unreadable file", "broken ExternalSecret"])
def test_nothing_is_removed_while_the_folder_is_not_understood(
    passes: Any, folder: Any, trouble: str
) -> None:
    """What is missing may be in the part that can't be read."""
    folder.write("b.yaml", folder.external.replace("name: app", "name: other"))
    passes.run()
    folder.write(
        "b.yaml",
        "x: ["
        if trouble == "unreadable file"
        else folder.external.replace("name: app", "name: other").replace("  data:", "  dta:"),
    )
    report = passes.run()
    assert report.ok is False
    assert folder.secret(name="other") is not None


def test_a_result_that_can_not_be_read_is_told_with_the_reason(passes: Any, folder: Any) -> None:
    """What stands there may be anybody's: it is not written over."""
    path = folder.output / "secrets" / "team-a" / "app.yaml"
    path.mkdir(parents=True)
    row = passes.row()
    assert (row.ready, row.message) == (
        False,
        f"{path}: is no file: remove it, it will be made again",
    )


def test_nothing_is_removed_when_no_manifest_is_left(passes: Any, folder: Any) -> None:
    """A folder that was not mounted, or is being checked out, looks like this."""
    passes.run()
    (folder.path / "a.yaml").write_text("")
    report = passes.run()
    assert (report.ok, report.notes) == (
        True,
        [f"the folder has no manifests at all: what is in {folder.output} is kept"],
    )
    assert folder.secret() is not None
    (folder.path / "a.yaml").unlink()
    folder.path.rmdir()
    report = passes.run()
    assert report.problems == [f"{folder.path} can't be listed: No such file or directory"]
    assert folder.secret() is not None


def test_a_key_of_another_target_is_not_ours(passes: Any, folder: Any, calls: Any) -> None:
    """Merged into one Secret, and then into another: what that one had of the same name stays."""
    text = (
        "{apiVersion: v1, kind: Secret, metadata: {name: NAME, namespace: team-a}, stringData: {v: theirs}}"
    )
    folder.write("secrets.yaml", text.replace("NAME", "one"), text.replace("NAME", "two"))
    merge = folder.external + "  target: {creationPolicy: Merge, name: NAME}\n"
    folder.write("a.yaml", folder.store, merge.replace("NAME", "one"))
    passes.run()
    assert folder.secret(name="one").data == {"v": b"value"}
    folder.write("a.yaml", folder.store, merge.replace("NAME", "two").replace("secretKey: v", "secretKey: w"))
    passes.run()
    assert folder.secret(name="two").data == {"v": b"theirs", "w": b"value"}


@pytest.mark.parametrize("status", ["{conditions: []}", "{conditions: [{}]}", "[]", "{conditions: {}}", "x"])
def test_a_status_that_can_not_be_read_means_never_synced(passes: Any, folder: Any, status: str) -> None:
    """Somebody edited it, or an older version wrote it."""
    passes.run()
    path = folder.output / "status" / "team-a" / "app.yaml"
    path.write_text(
        f"{{apiVersion: external-secrets.io/v1, kind: ExternalSecret, metadata: {{name: app, namespace: team-a}}, status: {status}}}"
    )
    assert passes.row().ready is True
    assert "refreshTime" in path.read_text()


def test_a_secret_of_the_folder_is_merged_into_and_never_written(passes: Any, folder: Any) -> None:
    """The input is the user's; the result is beside it, and follows it."""
    text = "{apiVersion: v1, kind: Secret, metadata: {name: app, namespace: team-a}, stringData: {theirs: '1', v: old}}"
    path = folder.write("secret.yaml", text)
    folder.write("a.yaml", folder.store, folder.external + "  target: {creationPolicy: Merge}\n")
    passes.run()
    assert folder.secret().data == {"theirs": b"1", "v": b"value"}
    assert path.read_text() == text
    path.write_text(text.replace("'1'", "'2'"))
    passes.run()
    assert folder.secret().data == {"theirs": b"2", "v": b"value"}


def test_a_failure_is_tried_again_later_and_later(passes: Any, calls: Any) -> None:
    """1 s, 2 s, 4 s ... up to seven minutes; a success starts anew."""
    calls.secrets = {"k": CallError("away", retryable=True)}
    pauses = []
    for _ in range(12):
        passes.run()
        pauses.append((passes.syncer.next_at() - passes.now).total_seconds())
    assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, 420, 420, 420]
    calls.secrets = {"k": b"v"}
    passes.run()
    assert (passes.syncer.next_at() - passes.now).total_seconds() == 3600
    calls.secrets = {"k": CallError("away", retryable=True, retry_after=30.0)}
    passes.run(trigger=Trigger.EVERYTHING)
    assert (passes.syncer.next_at() - passes.now).total_seconds() == 30


def test_a_pause_is_kept_when_others_are_due(passes: Any, folder: Any, calls: Any) -> None:
    """A pass for one must not ask a backend for another that it told to wait. A change of the folder is another matter."""
    folder.write(
        "b.yaml", folder.external.replace("name: app", "name: limited").replace("key: k", "key: limited")
    )
    calls.secrets["limited"] = CallError("slow down", retryable=True, retry_after=60.0)
    first = passes.run()
    assert [row.ready for row in first.rows] == [True, False]
    calls.secrets["limited"] = b"v"
    passes.later(seconds=59)
    asked = len(calls.asked)
    assert passes.run(patient=True).rows[1] == first.rows[1]
    assert len(calls.asked) == asked
    passes.later(seconds=1)
    assert passes.run(patient=True).ok is True

    calls.secrets["limited"] = CallError("slow down", retryable=True, retry_after=60.0)
    passes.later(hours=2)
    assert passes.run().ok is False
    calls.secrets["limited"] = b"v"
    assert passes.run().ok is True


def test_what_only_a_change_can_help_waits_for_the_next_refresh(passes: Any, folder: Any) -> None:
    """A wrong manifest is not asked about every second."""
    folder.write(
        "a.yaml", folder.store, folder.external + "  target: {template: {data: {a: '{{ .nope }}'}}}\n"
    )
    assert passes.row().ready is False
    assert (passes.syncer.next_at() - passes.now).total_seconds() == 3600


@pytest.fixture
def generating(folder: Any, calls: Any, bench: Any, passes: Any) -> Any:
    """A generator with states, in a folder."""
    folder.write("a.yaml", folder.generator, folder.generated)
    calls.made = [Made({"token": b"%d" % number}, b'{"id": %d}' % number) for number in range(1, 9)]
    return passes


def states(folder: Any) -> list[bytes]:
    return sorted(state.state for state in Output(folder.output).states())


def test_states_are_kept_and_removed_in_time(generating: Any, folder: Any, calls: Any) -> None:
    """The newest two stay; an older one goes when its grace is over."""
    for _ in range(3):
        assert generating.row("token").ready is True
        generating.later(hours=1)
    assert states(folder) == [b'{"id": 1}', b'{"id": 2}', b'{"id": 3}']
    assert "cleanup" not in calls.methods()
    generating.run()
    assert [subject for method, _via, subject in calls.asked if method == "cleanup"] == [b'{"id": 1}']
    (path, *_rest) = (folder.output / "generatorstates" / "team-a").iterdir()
    assert path.stat().st_mode & 0o777 == 0o600


def test_states_go_with_their_external_secret(generating: Any, folder: Any, calls: Any) -> None:
    """What a generator made for somebody who is gone is of no use."""
    generating.run()
    folder.write("a.yaml", folder.generator)
    generating.run()
    assert states(folder) == []
    assert calls.methods()[-1] == "cleanup"


def test_a_clean_up_that_fails_is_a_problem_until_it_works(generating: Any, folder: Any, calls: Any) -> None:
    """Something is left in the backend: exit status and table have to tell."""
    generating.run()
    folder.write("a.yaml", folder.generator)
    calls.cleanup_error = CallError("away")
    report = generating.run()
    assert report.ok is False
    (path,) = (folder.output / "generatorstates" / "team-a").iterdir()
    assert report.problems == [
        (
            f"GeneratorState team-a/{path.stem}: clean-up failed: away (it is tried again later; when nothing is left to remove in "
            f"the backend, delete {path})"
        )
    ]
    calls.cleanup_error = None
    assert generating.run().ok is True
    assert states(folder) == []


def test_a_deadline_is_when_the_next_pass_is_needed(generating: Any, calls: Any) -> None:
    """Else the credential would live until something else is due; what fails is tried again after 2 s, 4 s ... 7 min."""
    for _ in range(3):
        generating.run()
        generating.later(hours=1)
    generating.now -= timedelta(hours=1)
    assert generating.syncer.next_at() == generating.now + timedelta(minutes=2)
    generating.later(minutes=2)
    calls.cleanup_error = CallError("away")
    pauses = []
    for _ in range(9):
        assert generating.run(patient=True).ok is False
        pauses.append((generating.syncer.next_at() - generating.now).total_seconds())
    assert pauses == [2, 4, 8, 16, 32, 64, 128, 256, 420]
    calls.cleanup_error = None
    assert generating.run(patient=True).ok is True
    assert (generating.syncer.next_at() - generating.now).total_seconds() == 3600 - 120


def test_a_state_that_can_not_be_read_is_told(generating: Any, folder: Any) -> None:
    """Nobody else knows what is to be cleaned up; it must neither be forgotten nor stop the others."""
    generating.run()
    (path,) = (folder.output / "generatorstates" / "team-a").iterdir()
    path.write_text("x: [")
    report = generating.run()
    assert [row.ready for row in report.rows] == [True]
    assert report.ok is False
    assert report.problems == [
        (
            f"{path} is no GeneratorState (line 1: not valid YAML): what the generator made can't be cleaned up. Restore "
            "the file, or remove it when nothing is left of it in the backend"
        )
    ]
    assert path.exists()


def test_a_state_comes_back_as_it_was(generating: Any, folder: Any, calls: Any) -> None:
    """A lease `12345e7` is no number, whatever YAML says."""
    sent = b'{"lease": "12345e7", "more": ["0o17", "y", "1:30", 1e21, null, "\\u00e4\\u0085"]}'
    calls.made = [Made({"token": b"v"}, sent)]
    generating.run()
    folder.write("a.yaml", folder.generator)
    generating.run()
    ((_method, _via, got),) = [asked for asked in calls.asked if asked[0] == "cleanup"]
    assert json.loads(got) == json.loads(sent)


def test_a_state_that_is_no_json_fails_the_sync_and_is_cleaned_up(
    generating: Any, folder: Any, calls: Any
) -> None:
    """It could not be kept, so the value must not come into use."""
    calls.made = [Made({"token": b"v"}, b"\xff canary")]
    row = generating.row("token")
    assert (row.ready, row.message) == (
        False,
        (
            "spec.dataFrom[0]: sourceRef.generatorRef: the state that the generator returned is no JSON document, so what it made "
            "could not be cleaned up later: report it to whoever maintains the provider"
        ),
    )
    assert [subject for method, _via, subject in calls.asked if method == "cleanup"] == [b"\xff canary"]
    calls.cleanup_error = CallError("away")
    calls.made = [Made({"token": b"v"}, b"\xff canary")]
    assert generating.row("token").ready is False
    assert folder.secret(name="token") is None


def test_a_value_in_use_is_not_undone(generating: Any, folder: Any, calls: Any) -> None:
    """The Secret is written and only the status is not: removing what it holds would break who uses it."""
    (folder.output / "status" / "team-a" / "token.yaml").mkdir(parents=True)
    row = generating.row("token")
    assert row.ready is False
    assert "can't be written" in row.message
    assert folder.secret(name="token").data == {"token": b"1"}
    assert "cleanup" not in calls.methods()
    assert states(folder) == [b'{"id": 1}']


def test_what_can_not_be_undone_is_kept_overdue(
    generating: Any, folder: Any, calls: Any, monkeypatch: Any
) -> None:
    """The backend is away just when the Secret can't be written."""
    monkeypatch.setattr(Output, "write_secret", Mock(side_effect=OSError(28, "No space left on device", "x")))
    calls.cleanup_error = CallError("away")
    assert "clean-up failed: away" in generating.row("token").message
    (state,) = Output(folder.output).states()
    assert state.deadline == generating.now


def test_a_generator_of_a_long_name_keeps_its_state(generating: Any, folder: Any) -> None:
    """A name may have 253 characters, and a file's name only 255."""
    folder.write("a.yaml", folder.generator.replace("name: strong", "name: " + "s" * 253), folder.generated)
    assert generating.row("token").ready is True
    assert states(folder) == [b'{"id": 1}']


def test_the_state_is_stored_before_the_secret(generating: Any, folder: Any, monkeypatch: Any) -> None:
    """Whoever is killed in between still finds what to clean up."""
    order: list[str] = []
    for name in ("write_state", "write_secret", "write_status"):
        real = getattr(Output, name)

        def noted(self: Any, *arguments: Any, _real: Any = real, _name: str = name) -> Any:
            order.append(_name)
            return _real(self, *arguments)

        monkeypatch.setattr(Output, name, noted)
    generating.run()
    assert order == ["write_state", "write_secret", "write_status"]


def test_a_secret_that_cannot_be_written_leaves_nothing_behind(
    generating: Any, folder: Any, calls: Any, monkeypatch: Any
) -> None:
    """What was made for it is removed, and the reason is told with the path."""
    full = OSError(28, "No space left on device", str(folder.output / "secrets"))
    monkeypatch.setattr(Output, "write_secret", Mock(side_effect=full))
    row = generating.row("token")
    assert row.ready is False
    assert row.message == f"{folder.output / 'secrets'} can't be written: No space left on device"
    assert states(folder) == []
    assert [subject for method, _via, subject in calls.asked if method == "cleanup"] == [b'{"id": 1}']


def test_an_interrupted_pass_ends_what_it_began(passes: Any, folder: Any, calls: Any) -> None:
    """Those under way are finished, the others not begun: no Secret without its status."""
    for number in range(30):
        folder.write(f"es{number}.yaml", folder.external.replace("name: app", f"name: app-{number:02d}"))
    seen = threading.Event()
    real = calls.get_secret

    def interrupting(via: Any, ref: Any) -> bytes:
        if not seen.is_set():
            seen.set()
            raise KeyboardInterrupt
        value: bytes = real(via, ref)
        return value

    calls.get_secret = interrupting
    with pytest.raises(KeyboardInterrupt):
        passes.run()

    def names(kind: str) -> set[str]:
        return {path.stem for path in Path(folder.output / kind).glob("*/*.yaml")}

    assert names("secrets") == names("status")
    assert len(names("secrets")) < 31
    assert list(folder.output.rglob("*.tmp")) == []
    calls.get_secret = real
    assert passes.run().ok is True


def test_an_interrupted_pass_ends_the_calls_under_way(passes: Any, folder: Any, calls: Any) -> None:
    """Else it would wait for a provider that hangs, for up to 30 s."""
    folder.write(
        "b.yaml", folder.external.replace("name: app", "name: hangs").replace("key: k", "key: hangs")
    )
    hanging, ended = threading.Event(), threading.Event()

    def answer(_via: Any, ref: Any) -> bytes:
        if ref.key == "hangs":
            hanging.set()
            assert ended.wait(60)
            raise CallError("the core is shutting down")
        assert hanging.wait(60)
        raise KeyboardInterrupt

    calls.get_secret = answer
    passes.syncer.abort = ended.set
    with pytest.raises(KeyboardInterrupt):
        passes.run()
    assert ended.is_set()
