"""GetSecret and GetSecretMap: versions, states, properties, metadata, locations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from grpc import StatusCode

if TYPE_CHECKING:
    from .conftest import Cloud

DOCUMENT = (
    b'{"user": "ann", "port": 5432, "big": 12345678901234567890, "ok": true, "none": null,'
    b' "tls": {"a":  1}, "a.b": "literal", "a": {"b": "path"}, ".hidden": "dot", "": {"hidden": "empty"}}'
)


def test_a_secret_is_read_with_a_service_accounts_key(cloud: Cloud) -> None:
    """The whole way: a key from a Secret, a signed request for a token, a read with it."""
    cloud.google.put("db", b"s3cret")

    assert cloud.harness.get_secret(cloud.store(), "db") == b"s3cret"
    assert cloud.proxy.count(host="oauth2.googleapis.com") == 1


def test_bytes_come_as_they_are(cloud: Cloud) -> None:
    value = bytes(range(256))
    cloud.google.put("raw", value)

    assert cloud.harness.get_secret(cloud.store(), "raw") == value


@pytest.mark.parametrize(
    ("version", "value"), [("", b"new"), ("latest", b"new"), ("1", b"old"), ("stable_2", b"old")]
)
def test_a_version_is_a_number_an_alias_or_the_latest(cloud: Cloud, version: str, value: bytes) -> None:
    cloud.google.put("db", b"old")
    cloud.google.put("db", b"new")
    cloud.google.set_alias("db", "stable_2", 1)

    assert cloud.harness.get_secret(cloud.store(), "db", version=version) == value


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("user", b"ann"),
        ("port", b"5432"),
        ("big", b"12345678901234567890"),
        ("ok", b"true"),
        ("none", b""),
        ("tls", b'{"a":  1}'),
        ("a.b", b"literal"),
        ("tls.a", b"1"),
        (".hidden", b"empty"),
    ],
)
def test_a_property_is_a_literal_key_then_a_path(cloud: Cloud, path: str, value: bytes) -> None:
    """A dot at the start is part of a path only, as in the in-tree store."""
    cloud.google.put("doc", DOCUMENT)

    assert cloud.harness.get_secret(cloud.store(), "doc", property=path) == value


def test_a_missing_property_is_an_error_and_not_no_secret(cloud: Cloud) -> None:
    cloud.google.put("doc", DOCUMENT)
    store = cloud.store()

    with cloud.harness.fails() as failure:
        cloud.harness.get_secret(store, "doc", property="absent")

    assert failure.code is StatusCode.FAILED_PRECONDITION
    assert failure.error.code == "NO_PROPERTY"


def test_a_property_of_text_that_is_not_json_is_an_error(cloud: Cloud) -> None:
    """It is checked before the lookup: half a document could give half an answer."""
    cloud.google.put("doc", b'{"user": "ann"')
    store = cloud.store()

    with cloud.harness.fails() as failure:
        cloud.harness.get_secret(store, "doc", property="user")

    assert failure.code is StatusCode.FAILED_PRECONDITION
    assert "not JSON" in failure.message
    assert "ann" not in failure.message


def test_a_map_has_texts_and_raw_json(cloud: Cloud) -> None:
    cloud.google.put("doc", b'{"user": "ann", "port": 5432, "tls": {"a":  1}, "none": null}')

    found = cloud.harness.get_secret_map(cloud.store(), "doc")

    assert found == {"user": b"ann", "port": b"5432", "tls": b'{"a":  1}', "none": b""}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("", b'{"annotations":{"team.example/a":"\\u003cx\\u003e"},"labels":{"env":"prod"}}'),
        ("annotations", b'{"team.example/a":"\\u003cx\\u003e"}'),
        ("labels", b'{"env":"prod"}'),
        ("annotations.team.example/a", b"<x>"),
        ("labels.env", b"prod"),
    ],
)
def test_metadata_is_annotations_and_labels(cloud: Cloud, path: str, value: bytes) -> None:
    """What follows `annotations.` is one key, dots included."""
    cloud.google.put("db", b"s3cret", labels={"env": "prod"}, annotations={"team.example/a": "<x>"})

    found = cloud.harness.get_secret(cloud.store(), "db", property=path, metadata_policy="Fetch")

    assert found == value


def test_absent_metadata_prints_as_null(cloud: Cloud) -> None:
    cloud.google.put("db", b"s3cret")

    found = cloud.harness.get_secret(cloud.store(), "db", metadata_policy="Fetch")

    assert found == b'{"annotations":null,"labels":null}'


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("labels.absent", StatusCode.FAILED_PRECONDITION),
        ("annotations.absent", StatusCode.FAILED_PRECONDITION),
        ("name", StatusCode.INVALID_ARGUMENT),
    ],
)
def test_other_properties_of_metadata_are_errors(cloud: Cloud, path: str, code: StatusCode) -> None:
    cloud.google.put("db", b"s3cret", labels={"env": "prod"})
    store = cloud.store()

    with cloud.harness.fails() as failure:
        cloud.harness.get_secret(store, "db", property=path, metadata_policy="Fetch")

    assert failure.code is code


@pytest.mark.parametrize("state", ["DISABLED", "DESTROYED"])
def test_an_unusable_latest_version_is_an_error_unless_told_otherwise(cloud: Cloud, state: str) -> None:
    """And no "no secret": the secret is there."""
    cloud.google.put("db", b"old")
    cloud.google.put("db", b"new")
    cloud.google.set_state("db", 2, state)
    store = cloud.store()

    with cloud.harness.fails() as failure:
        cloud.harness.get_secret(store, "db")

    assert failure.code is StatusCode.FAILED_PRECONDITION
    assert state.lower() in failure.message


@pytest.mark.parametrize(("page", "lists"), [(1000, 1), (1, 3)], ids=["one-page", "three-pages"])
@pytest.mark.parametrize("state", ["DISABLED", "DESTROYED"])
def test_latest_or_fetch_takes_the_newest_enabled_version(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, state: str, page: int, lists: int
) -> None:
    """The newest by its time, and not the first or the last of the list."""
    monkeypatch.setattr(cloud.google, "page", page)
    for value in (b"one", b"two", b"three", b"four"):
        cloud.google.put("db", value)
    cloud.google.set_state("db", 4, state)
    cloud.google._secrets["acme", "db"].versions[1].created += 100
    store = cloud.store(secretVersionSelectionPolicy="LatestOrFetch")

    assert cloud.harness.get_secret(store, "db") == b"two"
    assert (cloud.google.count("AccessSecretVersion"), cloud.google.count("ListSecretVersions")) == (2, lists)


def test_latest_or_fetch_leaves_a_named_version_alone(cloud: Cloud) -> None:
    cloud.google.put("db", b"one")
    cloud.google.put("db", b"two")
    cloud.google.set_state("db", 2, "DISABLED")
    store = cloud.store(secretVersionSelectionPolicy="LatestOrFetch")

    with cloud.harness.fails() as failure:
        cloud.harness.get_secret(store, "db", version="2")

    assert failure.code is StatusCode.FAILED_PRECONDITION


def test_latest_or_fetch_with_nothing_enabled_says_why(cloud: Cloud) -> None:
    cloud.google.put("db", b"one")
    cloud.google.set_state("db", 1, "DESTROYED")
    store = cloud.store(secretVersionSelectionPolicy="LatestOrFetch")

    with cloud.harness.fails() as failure:
        cloud.harness.get_secret(store, "db")

    assert failure.code is StatusCode.FAILED_PRECONDITION
    assert "destroyed" in failure.message


def test_a_location_has_secrets_and_an_endpoint_of_its_own(cloud: Cloud) -> None:
    cloud.google.put("db", b"global")
    cloud.regional.put("db", b"regional")
    store = cloud.store(location="europe-west3")

    assert cloud.harness.get_secret(store, "db") == b"regional"
    assert cloud.regional.calls == [
        ("AccessSecretVersion", "projects/acme/locations/europe-west3/secrets/db/versions/latest")
    ]


@pytest.mark.parametrize(
    ("location", "endpoint"),
    [
        ("", "secretmanager.googleapis.com:443"),
        ("europe-west3", "secretmanager.europe-west3.rep.googleapis.com:443"),
    ],
)
def test_endpoints_are_googles_unless_the_environment_says_otherwise(
    location: str, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from provider_gcp._endpoint import ENDPOINT, REGIONAL_ENDPOINT
    from provider_gcp._endpoint import endpoint as endpoint_of

    monkeypatch.delenv(ENDPOINT, raising=False)
    monkeypatch.delenv(REGIONAL_ENDPOINT, raising=False)

    assert endpoint_of(location) == endpoint

    monkeypatch.setenv(ENDPOINT, "private:1")
    monkeypatch.setenv(REGIONAL_ENDPOINT, "{location}.private:2")
    assert endpoint_of(location) == ("europe-west3.private:2" if location else "private:1")


@pytest.mark.parametrize("key", ["a/b", "ü", "projects/other/secrets/db", "db/versions/1", "x" * 256, "a b"])
def test_a_key_that_no_secret_can_have_is_refused_before_google_is_asked(cloud: Cloud, key: str) -> None:
    """A key is part of a resource name: it must not lead to another project, or from a secret to its version."""
    store = cloud.store()

    with cloud.harness.fails() as failure:
        cloud.harness.get_secret(store, key)

    assert failure.code is StatusCode.INVALID_ARGUMENT
    assert cloud.google.calls == []


def test_a_version_that_cannot_be_is_refused_before_google_is_asked(cloud: Cloud) -> None:
    store = cloud.store()

    with cloud.harness.fails() as failure:
        cloud.harness.get_secret(store, "db", version="1/../../other")

    assert failure.code is StatusCode.INVALID_ARGUMENT
    assert cloud.google.calls == []


def test_an_answer_without_a_value_is_an_error_and_not_an_empty_value(cloud: Cloud) -> None:
    cloud.google.put("db", b"s3cret")
    cloud.google.muted.add("db")
    store = cloud.store()

    with cloud.harness.fails() as failure:
        cloud.harness.get_secret(store, "db")

    assert failure.code is StatusCode.FAILED_PRECONDITION


def test_a_value_that_arrives_spoiled_is_not_handed_out(cloud: Cloud) -> None:
    """Google sends a checksum along; asked again it may come whole."""
    cloud.google.put("db", b"s3cret")
    cloud.google.spoiled.add("db")
    store = cloud.store()

    with cloud.harness.fails() as failure:
        cloud.harness.get_secret(store, "db")

    assert failure.code is StatusCode.UNAVAILABLE
    assert "checksum" in failure.message
    cloud.google.spoiled.clear()
    assert cloud.harness.get_secret(store, "db") == b"s3cret"


def test_the_alias_reads_the_same(cloud: Cloud) -> None:
    cloud.google.put("db", b"s3cret")
    spec = cloud.spec()

    store = cloud.harness.add_store("team-a", spec, kind="SecretManager")

    assert store.api_version == "provider.external-secrets.io/v2alpha1"
    assert cloud.harness.get_secret(store, "db") == b"s3cret"


def test_a_push_is_seen_by_the_next_read(cloud: Cloud) -> None:
    """The short memory of reads must not hide what we wrote ourselves."""
    store = cloud.store()
    cloud.harness.push(store, "db", {"k": b"one"}, secret_key="k")
    assert cloud.harness.get_secret(store, "db") == b"one"

    cloud.harness.push(store, "db", {"k": b"two"}, secret_key="k")

    assert cloud.harness.get_secret(store, "db") == b"two"


def test_capabilities_are_read_write(cloud: Cloud) -> None:
    assert cloud.harness.capabilities(cloud.store()) == "READ_WRITE"
