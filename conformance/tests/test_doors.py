"""Three doors, one body: pytest by command line, pytest by subclass, and the command line tool. And the guard at the door."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from broken.served import Served
from provider_conformance.cli import main
from provider_conformance.registry import all_checks
from provider_conformance.suite import GeneratorConformance, SecretStoreConformance

FEW = "test_get_value or test_get_missing_key or test_generate_fresh or test_transport_health_serving"


def _cli(*arguments: str) -> tuple[int, str]:
    out = io.StringIO()
    return main(arguments, out), out.getvalue()


# The command line


def test_list_tells_every_check_and_its_promise() -> None:
    """The list is what dashboards and the docs are made from."""
    status, out = _cli("list", "--json")
    rows = json.loads(out)
    assert status == 0
    assert len(rows) == len(all_checks())
    assert {"id", "area", "profile", "contract"} <= set(rows[0])
    assert "get.missing-key" in _cli("list")[1]


def test_explain_tells_what_to_do() -> None:
    """The way from a failed check to its fix."""
    status, out = _cli("explain", "get.missing-key")
    assert status == 0
    for part in ("If this fails:", "Likely cause:", "Fix:", "GET-2"):
        assert part in out


@pytest.mark.parametrize(
    "arguments",
    [("explain", "no.such-check"), ("run", "--target", "/nowhere.yaml"), ("report", "/nowhere.json")],
    ids=lambda arguments: arguments[0],
)
def test_wrong_use_is_told_and_ends_with_2(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """Not a traceback."""
    assert _cli(*arguments)[0] == 2
    assert capsys.readouterr().err.startswith("provider-conformance: ")


def test_a_report_that_is_none_is_told_by_its_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of many files given to `matrix`, which one."""
    for text in ("{", "[]", '{"report": 1}'):
        (tmp_path / "odd.json").write_text(text)
        assert _cli("matrix", str(tmp_path / "odd.json"))[0] == 2
        assert "odd.json: not a report" in capsys.readouterr().err


def test_both_schemas_are_printed() -> None:
    """Who reads reports or writes target files should not have to look for them in the package."""
    titles = [json.loads(_cli("schema", *what)[1])["title"] for what in ((), ("target",), ("report",))]
    assert titles[0] == titles[1] != titles[2]


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    """`provider-conformance list | head`."""
    program = [sys.executable, "-m", "provider_conformance.cli", "list"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as listing:
        assert listing.stdout is not None
        assert listing.stderr is not None
        listing.stdout.close()
        assert (listing.stderr.read(), listing.wait(30)) == ("", 0)


def test_run_tells_once_that_nothing_answers(target_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Not 255 failures that all mean the same."""
    assert _cli("run", "--target", str(target_file), "--endpoint", "127.0.0.1:1") == (2, "")
    assert "no provider answers at 127.0.0.1:1" in capsys.readouterr().err


def test_run_tells_what_it_would_need_for_the_rest(target_file: Path, tmp_path: Path) -> None:
    """Who only looks at the terminal learns why something was not judged, and which seed repeats the fuzzing."""
    status, out = _cli(
        "run", "--target", str(target_file), "--check", "errors.denied", "--report-dir", str(tmp_path / "r")
    )
    assert status == 0
    assert "not run: errors.denied: not seeded: needs a key that provokes it (faults.denied)" in out
    seed = json.loads((tmp_path / "r" / "report.json").read_text())["seed"]
    assert f"seed of the fuzzing: {seed}\n" in out


def test_run_judges_shows_progress_and_writes_reports(target_file: Path, tmp_path: Path) -> None:
    """The whole way from an address to a page."""
    status, out = _cli(
        "run", "--target", str(target_file), "--check", "read", "--check", "generate.fresh", "--report-dir", str(tmp_path / "r")
    )  # fmt: skip
    assert status == 0, out
    assert "read           ...." in out
    assert "right: memory, core:" in out
    assert {file.name for file in (tmp_path / "r").iterdir()} == {
        "report.json",
        "junit.xml",
        "report.md",
        "report.html",
    }
    before, after = str(tmp_path / "r" / "report.json"), str(tmp_path / "r" / "report.json")
    assert _cli("compare", before, after) == (0, "0 changes, 0 for the worse\n")
    assert "| right | memory |" in _cli("matrix", before)[1]
    assert "right: memory, core:" in _cli("report", before, "--format", "summary")[1]


def test_run_ends_with_1_for_a_failure_and_compare_for_a_change_for_the_worse(
    target_file: Path, tmp_path: Path, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What CI goes by."""
    arguments = ("run", "--target", str(target_file), "--check", "get.value", "--report-dir")
    assert _cli(*arguments, str(tmp_path / "good"))[0] == 0
    monkeypatch.setattr(served.right, "decode", lambda value, strategy: value + b"!")
    status, out = _cli(*arguments, str(tmp_path / "bad"))
    assert status == 1
    assert "get.value [memory]: GetSecret answered another value" in out
    files = [str(tmp_path / name / "report.json") for name in ("good", "bad")]
    assert _cli("compare", *files)[0] == 1
    assert _cli("compare", *reversed(files))[0] == 0


def test_run_repeats_and_stops_at_the_first_failure(
    target_file: Path, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Flakes are looked for by many runs in a row."""
    arguments = ("run", "--target", str(target_file), "--check", "get.value", "--repeat", "3", "--quiet")
    status, out = _cli(*arguments)
    assert (status, out.count("round")) == (0, 3)
    monkeypatch.setattr(served.right, "decode", lambda value, strategy: value + b"!")
    status, out = _cli(*arguments)
    assert (status, out.count("round")) == (1, 1)


@pytest.mark.parametrize("dialect", ["s", "p"])
def test_the_right_provider_serves_both_dialects(target_file: Path, dialect: str) -> None:
    """As either Go core would ask: no version, no full store, its own words for stores."""
    status, out = _cli(
        "run", "--target", str(target_file), "--dialect", dialect, "--contract", "1.0", "--profile", "core", "--no-slow"
    )  # fmt: skip
    assert status == 0, out


# pytest by command line


def _arguments(target_file: Path, *more: str) -> list[str]:
    return [
        "--provider-target", str(target_file), "--provider-tls-dir", str(target_file.parent / "client"), "-p", "no:cacheprovider",
        *more,
    ]  # fmt: skip


def test_pytest_judges_an_endpoint(pytester: pytest.Pytester, target_file: Path, served: Served) -> None:
    """No test file is needed; the report is written."""
    done = pytester.runpytest_subprocess(
        "--provider-endpoint", served.endpoint, *_arguments(target_file, "-k", FEW, "--provider-report-dir", "out")
    )  # fmt: skip
    done.assert_outcomes(passed=4, deselected=len(all_checks()) - 4)
    assert (pytester.path / "out" / "right-1.1-v2" / "report.html").exists()
    done.stdout.fnmatch_lines(
        ["*right: memory, core: conformant (2 passed)*", "*left out on the command line*"]
    )


def test_pytest_spreads_an_endpoint_over_workers(
    pytester: pytest.Pytester, target_file: Path, served: Served
) -> None:
    """Results of all workers come together in one report."""
    done = pytester.runpytest_subprocess(
        "--provider-endpoint", served.endpoint, *_arguments(target_file, "-n2", "-k", f"{FEW} or test_deadlines_flood")
    )  # fmt: skip
    done.assert_outcomes(passed=5)
    done.stdout.fnmatch_lines(["*right: memory, core: conformant (2 passed)*"])


def test_pytest_runs_one_profile(pytester: pytest.Pytester, target_file: Path, served: Served) -> None:
    """core alone is what a first version of a provider is held to."""
    done = pytester.runpytest_subprocess(
        "--provider-endpoint", served.endpoint,
        *_arguments(target_file, "--collect-only", "-q", "--provider-profile", "core"),
    )  # fmt: skip
    core = sum(check.profile == "core" for check in all_checks())
    done.stdout.fnmatch_lines([f"*{core}/{len(all_checks())} tests collected*"])


def test_nothing_is_collected_without_endpoint_or_subclass(pytester: pytest.Pytester) -> None:
    """The plugin is installed beside other tests and must not add to them."""
    pytester.makepyfile("def test_own(): pass")
    done = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    done.assert_outcomes(passed=1)
    done.stdout.no_fnmatch_line("*provider conformance*")


def test_an_endpoint_without_a_target_file_is_wrong_use(pytester: pytest.Pytester) -> None:
    """Nothing could be judged."""
    done = pytester.runpytest_subprocess("--provider-endpoint", "127.0.0.1:1")
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines(["*needs --provider-target*"])


@pytest.mark.parametrize(
    ("endpoint", "more", "said"),
    [
        ("127.0.0.1:1", "", "no provider answers at 127.0.0.1:1"),
        (None, "colour: red", "colour: there is no such field"),
    ],
    ids=["nothing-answers", "wrong-file"],
)
def test_a_run_that_can_judge_nothing_is_wrong_use(
    pytester: pytest.Pytester, target_file: Path, served: Served, endpoint: str | None, more: str, said: str
) -> None:
    """One line in place of one error for each check."""
    with target_file.open("a") as file:
        file.write(more)
    done = pytester.runpytest_subprocess(
        "--provider-endpoint", endpoint or served.endpoint, *_arguments(target_file)
    )
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines([f"*provider-conformance: *{said}*"])


def test_help_asks_nobody(pytester: pytest.Pytester) -> None:
    """Whoever looks for an option may have written the others down already."""
    done = pytester.runpytest_subprocess(
        "--provider-endpoint", "127.0.0.1:1", "--provider-target", "nowhere.yaml", "--help"
    )
    done.stdout.fnmatch_lines(["*--provider-endpoint=HOST:PORT*"])
    assert done.ret == pytest.ExitCode.OK


# pytest by subclass

SUBCLASS = """
import os, pathlib, pytest
from provider_conformance import SecretStoreConformance
from provider_conformance.targetfile import load_target

@pytest.fixture(scope="module")
def target():
    return load_target(pathlib.Path(os.environ["TARGET"]))

class TestConformance(SecretStoreConformance):
    pass
"""


@pytest.fixture
def project(pytester: pytest.Pytester, target_file: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A provider's own tests: nine lines."""
    monkeypatch.setenv("TARGET", str(target_file))
    pytester.makepyfile(test_conformance=SUBCLASS)
    return pytester


def _run(project: pytest.Pytester, *more: str) -> pytest.RunResult:
    return project.runpytest_subprocess("-p", "no:cacheprovider", "-k", FEW, *more)


def test_a_subclass_of_a_few_lines_runs_every_check_of_its_role(project: pytest.Pytester) -> None:
    """What a provider adds to its tests."""
    assert len([line for line in SUBCLASS.splitlines() if line.strip()]) <= 10
    done = _run(project)
    done.assert_outcomes(passed=3, deselected=len(SecretStoreConformance.checks) - 3)


def test_the_command_line_asks_a_subclass_otherwise(project: pytest.Pytester) -> None:
    """One class gives the reports of every contract version and dialect."""
    more = ("--provider-contract", "1.0", "--provider-dialect", "p", "--provider-report-dir", "out")
    _run(project, *more).assert_outcomes(passed=3, deselected=len(SecretStoreConformance.checks) - 3)
    assert (project.path / "out" / "right-1.0-p" / "report.json").exists()


def test_both_base_classes_have_the_checks_of_their_roles() -> None:
    """A generator is not asked for secrets, a store not for generated values."""
    assert "test_get_value" in SecretStoreConformance.checks
    assert "test_generate_fresh" not in SecretStoreConformance.checks
    assert "test_generate_fresh" in GeneratorConformance.checks
    assert "test_transport_health_serving" in GeneratorConformance.checks
    assert "test_get_value" not in GeneratorConformance.checks


def test_overriding_a_check_is_refused() -> None:
    """Nobody weakens the judge quietly."""
    with pytest.raises(TypeError, match="overrides test_get_value"):
        type("TestMine", (SecretStoreConformance,), {"test_get_value": lambda self: None})


def test_removing_a_check_from_a_class_is_refused() -> None:
    """None in place of a method would take it out of the collection."""
    with pytest.raises(TypeError, match="overrides test_get_value"):
        type("TestMine", (SecretStoreConformance,), {"test_get_value": None})


CHEATS = {
    "skipped by a marker": """
import pytest
def pytest_collection_modifyitems(items):
    for item in items:
        if item.name == "test_get_value":
            item.add_marker(pytest.mark.skip(reason="flaky"))
""",
    "excused by a marker": """
import pytest
def pytest_collection_modifyitems(items):
    for item in items:
        if item.name == "test_get_value":
            item.add_marker(pytest.mark.xfail(reason="known"))
""",
    "removed from the items": """
def pytest_collection_modifyitems(items):
    items[:] = [item for item in items if item.name != "test_get_value"]
""",
    "replaced after the class was made": """
import pytest
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        if item.name == "test_get_value":
            type(item.cls.__mro__[1]).__setattr__(item.cls, "test_get_value", lambda self: None)
            item.obj = lambda: None
""",
}


@pytest.mark.parametrize("conftest", CHEATS.values(), ids=CHEATS.keys())
def test_a_check_taken_out_by_other_means_fails_the_run(
    project: pytest.Pytester, conftest: str, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was not judged must not look conformant."""
    monkeypatch.setattr(served.right, "decode", lambda value, strategy: value + b"!")
    project.makeconftest(conftest)
    assert _run(project).ret == pytest.ExitCode.TESTS_FAILED


def test_a_known_failure_in_the_target_is_an_expected_failure(
    project: pytest.Pytester, target_file: Path, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The way that is meant: declared, with its reason, and told."""
    monkeypatch.setattr(served.right, "decode", lambda value, strategy: value + b"!")
    with target_file.open("a") as file:
        file.write("known_failures: {get.value: the backend shouts}\n")
    done = _run(project)
    done.assert_outcomes(passed=2, xfailed=1, deselected=len(SecretStoreConformance.checks) - 3)
    done.stdout.fnmatch_lines(["*conformant with known failures*"])


def test_a_failure_tells_what_is_lost_and_how_to_fix_it(
    project: pytest.Pytester, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever sees it should not have to look anything up."""
    monkeypatch.setattr(served.right, "decode", lambda value, strategy: value + b"!")
    done = _run(project)
    done.assert_outcomes(passed=2, failed=1, deselected=len(SecretStoreConformance.checks) - 3)
    done.stdout.fnmatch_lines(
        ["get.value: *", "If this fails: *", "Likely cause: *", "Fix: *", "Contract: GET-1*"]
    )
