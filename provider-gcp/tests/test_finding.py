"""GetAllSecrets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from grpc import StatusCode

from .conftest import until

if TYPE_CHECKING:
    from .conftest import Cloud


def seed(cloud: Cloud) -> None:
    for name, labels in (
        ("app-db", {"env": "prod", "team": "a"}),
        ("app-api", {"env": "dev", "team": "a"}),
        ("web-app-db", {"env": "prod", "team": "b"}),
    ):
        for server in (cloud.google, cloud.regional):
            server.put(name, f"value of {name}", labels=labels)


@pytest.mark.parametrize(
    ("name", "path", "found"),
    [
        ("db$", "", {"app-db", "web-app-db"}),
        ("", "", {"app-db", "app-api", "web-app-db"}),
        ("db", "app-", {"app-db"}),
        ("nothing", "", set()),
    ],
)
def test_a_name_is_searched_and_a_path_is_a_prefix(
    cloud: Cloud, name: str, path: str, found: set[str]
) -> None:
    """Google's filter finds the path anywhere in the name; a prefix is what was asked for."""
    seed(cloud)

    answer = cloud.harness.find(cloud.store(), name=name, path=path)

    assert answer == {name: f"value of {name}".encode() for name in found}


@pytest.mark.parametrize(
    ("tags", "path", "found"),
    [
        ({"env": "prod"}, "", {"app-db", "web-app-db"}),
        ({"env": "prod", "team": "a"}, "", {"app-db"}),
        ({"env": "prod"}, "web", {"web-app-db"}),
        ({"env": "pr"}, "", set()),
        ({"env": 'x" OR labels.env="prod'}, "", set()),
        ({"env": ""}, "", set()),
    ],
)
def test_tags_are_labels_that_all_have_to_hold(
    cloud: Cloud, tags: dict[str, str], path: str, found: set[str]
) -> None:
    """And a value can't be written so that it widens the search."""
    seed(cloud)

    assert set(cloud.harness.find(cloud.store(), tags=tags, path=path)) == found


@pytest.mark.parametrize("how", ["name", "tags"])
def test_a_regional_store_finds_in_its_location(cloud: Cloud, how: str) -> None:
    """By tags, too."""
    cloud.google.put("global", b"1", labels={"env": "prod"})
    cloud.regional.put("local", b"2", labels={"env": "prod"})
    store = cloud.store(location="europe-west3")

    found = (
        cloud.harness.find(store, name="")
        if how == "name"
        else cloud.harness.find(store, tags={"env": "prod"})
    )

    assert found == {"local": b"2"}


def test_a_name_wins_over_tags(cloud: Cloud) -> None:
    seed(cloud)

    found = cloud.harness.find(cloud.store(), name="api", tags={"env": "prod"})

    assert set(found) == {"app-api"}


def test_neither_name_nor_tags_is_an_error(cloud: Cloud) -> None:
    store = cloud.store()

    with cloud.harness.fails() as failure:
        cloud.harness.find(store, path="app")

    assert failure.code is StatusCode.INVALID_ARGUMENT


def test_a_label_that_cannot_be_is_an_error(cloud: Cloud) -> None:
    store = cloud.store()

    with cloud.harness.fails() as failure:
        cloud.harness.find(store, tags={'env="x" OR name': "a"})

    assert failure.code is StatusCode.INVALID_ARGUMENT
    assert cloud.google.calls == []


def test_pages_are_followed_and_every_secret_read_once(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloud.google, "page", 20)
    for number in range(50):
        cloud.google.put(f"s-{number}", str(number))

    found = cloud.harness.find(cloud.store(), name="s-")

    assert found == {f"s-{number}": str(number).encode() for number in range(50)}
    assert (cloud.google.count("ListSecrets"), cloud.google.count("AccessSecretVersion")) == (3, 50)
    assert cloud.proxy.count(host="oauth2.googleapis.com") == 1


def test_what_vanishes_meanwhile_or_has_no_version_is_skipped(cloud: Cloud) -> None:
    """If that ended the find as "no secret", the core would delete all that was found before."""
    seed(cloud)
    cloud.google.put("app-empty", None)
    cloud.google.before("AccessSecretVersion", lambda: cloud.google.remove("app-api"), key="app-api")

    assert set(cloud.harness.find(cloud.store(), name="")) == {"app-db", "web-app-db"}


def test_a_version_that_cannot_be_read_ends_the_find(cloud: Cloud) -> None:
    """A secret that is there and not in the answer would count as removed."""
    seed(cloud)
    cloud.google.denied.add("secretmanager.versions.access:app-api")
    store = cloud.store()

    with cloud.harness.fails() as failure:
        cloud.harness.find(store, name="")

    assert failure.code is StatusCode.PERMISSION_DENIED
    assert "app-api" in failure.message


def test_a_disabled_latest_version_follows_the_stores_policy(cloud: Cloud) -> None:
    seed(cloud)
    cloud.google.put("app-db", b"newer")
    cloud.google.set_state("app-db", 2, "DISABLED")

    found = cloud.harness.find(cloud.store(secretVersionSelectionPolicy="LatestOrFetch"), name="^app-db")

    assert found == {"app-db": b"value of app-db"}


def test_an_absent_project_is_a_missing_reference(cloud: Cloud) -> None:
    """Nothing found would mean "delete what was found before"."""
    store = cloud.store(projectID="absent")

    with cloud.harness.fails() as failure:
        cloud.harness.find(store, name="")

    assert failure.code is StatusCode.FAILED_PRECONDITION
    assert failure.error.code == "MISSING_REFERENCE"


def test_the_reads_of_a_find_stop_with_the_callers_time(cloud: Cloud) -> None:
    """Threads that read have the caller's deadline, not one of their own."""
    seed(cloud)
    store = cloud.store()
    cloud.harness.find(store, name="")
    cloud.google.hang("AccessSecretVersion")

    with cloud.harness.fails() as failure:
        cloud.harness.find(store, name="", timeout=1)

    assert failure.code is StatusCode.DEADLINE_EXCEEDED
    assert until(lambda: cloud.calls().get("AccessSecretVersion error") == 3, seconds=10)
