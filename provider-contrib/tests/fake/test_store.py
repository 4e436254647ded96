"""The rules of the Fake store, asked of the class itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from provider_common import (
    ConflictError,
    Find,
    InvalidRequestError,
    InvalidSpecError,
    NoSecretError,
    PushData,
    PushRemoteRef,
    RemoteRef,
    UnsupportedError,
)
from provider_common.values import convert_key
from provider_contrib import FakeStore
from provider_contrib.fake.spec import FakeStoreSpec
from provider_contrib.fake.store import Pushed

MakeStore = Callable[..., FakeStore]


def entry(key: str, value: str, version: str | None = None) -> dict[str, str]:
    return {"key": key, "value": value} | ({} if version is None else {"version": version})


def push(store: FakeStore, remote_key: str, value: bytes, **options: Any) -> None:
    store.push_secret(PushData(remote_key, secret_key="k", data={"k": value, "other": b"x"}, **options))


class TestReading:
    def test_an_entry_is_read_by_key_and_version(self, make_store: MakeStore) -> None:
        """Each version is a secret of its own."""
        store = make_store([entry("a", "one", "v1"), entry("a", "two", "v2"), entry("a", "none")])

        assert store.get_secret(RemoteRef("a")) == b"none"
        assert store.get_secret(RemoteRef("a", "v1")) == b"one"
        assert store.get_secret(RemoteRef("a", "v2")) == b"two"

    @pytest.mark.parametrize(
        ("key", "version"),
        [
            pytest.param("b", "", id="unknown key"),
            pytest.param("a", "v2", id="unknown version"),
            pytest.param("a", "", id="only versions of it exist"),
            pytest.param("av", "1", id="key and version are not glued together"),
            pytest.param("A", "v1", id="another case"),
        ],
    )
    def test_what_is_not_there_is_no_secret(self, make_store: MakeStore, key: str, version: str) -> None:
        """The backend is the manifest, and the manifest does not have it."""
        store = make_store([entry("a", "one", "v1")])

        with pytest.raises(NoSecretError) as caught:
            store.get_secret(RemoteRef(key, version))

        assert repr(key) in caught.value.message

    def test_of_two_entries_of_one_name_the_later_counts(self, make_store: MakeStore) -> None:
        """As a map that is filled in order."""
        assert make_store([entry("a", "old"), entry("a", "new")]).get_secret(RemoteRef("a")) == b"new"

    def test_a_missing_property_is_no_secret_here_and_nowhere_else(self, make_store: MakeStore) -> None:
        """The Go fake says so, and tests of deletionPolicy rest on it. Every other kind answers NoPropertyError."""
        store = make_store([entry("a", '{"user": "me"}')])

        assert store.select(RemoteRef("a", property="user"), b'{"user": "me"}') == b"me"
        with pytest.raises(NoSecretError) as caught:
            store.select(RemoteRef("a", property="password"), b'{"user": "me"}')
        assert caught.value.details == {"key": "a", "property": "password"}

    @pytest.mark.parametrize(("name", "value"), [("a.b", b"literal"), ("a.c", b"path")])
    def test_a_member_that_is_called_like_the_property_wins(
        self, make_store: MakeStore, name: str, value: bytes
    ) -> None:
        """As for every other kind (GET-6). Go's Fake knows paths only, and answers NOT_FOUND for a.b of {"a.b": ...}."""
        document = b'{"a.b": "literal", "a": {"b": "hidden", "c": "path"}}'
        store = make_store([entry("a", document.decode())])

        assert store.select(RemoteRef("a", property=name), document) == value

    def test_asking_for_metadata_is_refused(self, make_store: MakeStore) -> None:
        """There is none, and the value must not stand in for it."""
        with pytest.raises(UnsupportedError, match="no metadata"):
            make_store([entry("a", "one")]).get_secret(RemoteRef("a", metadata_policy="Fetch"))


class TestFinding:
    def test_the_highest_version_is_found_compared_as_text(self, make_store: MakeStore) -> None:
        """So `9` is above `10`, as in the Go fake; no version is below all."""
        store = make_store(
            [entry("a", "ten", "10"), entry("a", "nine", "9"), entry("a", "none"), entry("b", "only", "1")]
        )

        assert store.get_all_secrets(Find(name="")) == {"a": b"nine", "b": b"only"}

    def test_a_pattern_is_searched_in_the_key_without_version(self, make_store: MakeStore) -> None:
        """Anywhere in it, unless it is anchored."""
        store = make_store([entry("db-a", "1"), entry("my-db", "2"), entry("x", "3", "db")])

        assert set(store.get_all_secrets(Find(name="db"))) == {"db-a", "my-db"}
        assert set(store.get_all_secrets(Find(name="^db"))) == {"db-a"}

    def test_finding_nothing_is_an_empty_map(self, make_store: MakeStore) -> None:
        """Not "no such secret"."""
        assert make_store([entry("a", "1")]).get_all_secrets(Find(name="^z")) == {}

    @pytest.mark.parametrize("version", ["1", None], ids=["versioned", "plain"])
    def test_pushed_values_are_found_too(self, make_store: MakeStore, version: str | None) -> None:
        """The manifest's entry of the same name comes first."""
        pushed = Pushed()
        push(make_store([], pushed=pushed), "a", b"pushed")
        push(make_store([], pushed=pushed), "b", b"pushed")
        store = make_store([entry("a", "own", version)], pushed=pushed)

        assert store.get_all_secrets(Find(name="")) == {"a": b"own", "b": b"pushed"}

    @pytest.mark.parametrize(
        ("find", "operator"),
        [
            pytest.param(Find(tags={"a": "b"}), "find.tags", id="tags alone"),
            pytest.param(Find(path="a"), "find.path", id="path alone"),
            pytest.param(Find(name="a", tags={"a": "b"}), "find.tags", id="name and tags"),
            pytest.param(Find(name="a", path="a"), "find.path", id="name and path"),
            pytest.param(Find(path="p", tags={"a": "b"}), "find.path and find.tags", id="path and tags"),
            pytest.param(Find(), "empty find", id="nothing"),
        ],
    )
    def test_other_operators_are_refused_by_name(
        self, make_store: MakeStore, find: Find, operator: str
    ) -> None:
        """A selector that is ignored would give away more than was asked for."""
        with pytest.raises(InvalidRequestError) as caught:
            make_store([entry("a", "1")]).get_all_secrets(find)

        assert operator in caught.value.message
        assert "find.name" in caught.value.message

    @pytest.mark.parametrize(
        ("strategy", "names"),
        [
            pytest.param("Default", {"a_b", "ünï.-_"}, id="Default"),
            pytest.param("Unicode", {"a_U002f_b", "ünï.-_"}, id="Unicode"),
            pytest.param("None", {"a/b", "ünï.-_"}, id="None"),
        ],
    )
    def test_names_are_converted_as_the_go_fake_does(
        self, make_store: MakeStore, strategy: str, names: set[str]
    ) -> None:
        """Letters of any script stay; the core converts again."""
        store = make_store([entry("a/b", "1"), entry("ünï.-_", "2")])

        assert set(store.get_all_secrets(Find(name="", conversion_strategy=strategy))) == names

    @given(st.text(), st.sampled_from(["Default", "Unicode"]))
    def test_converting_twice_changes_nothing(self, key: str, strategy: str) -> None:
        """That is why it may be done here and again in the core."""
        once = convert_key(key, strategy)

        assert convert_key(once, strategy) == once

    def test_two_names_that_become_one_are_an_error(self, make_store: MakeStore) -> None:
        """Otherwise one of them would vanish in silence."""
        store = make_store([entry("a/b", "1"), entry("a:b", "2")])

        with pytest.raises(ConflictError, match=r"'a/b' and 'a:b' both become 'a_b'"):
            store.get_all_secrets(Find(name="", conversion_strategy="Default"))


class TestWriting:
    def test_a_pushed_value_is_read_back(self, make_store: MakeStore) -> None:
        """Only the one of `secretKey`; other keys of the Secret are not written."""
        store = make_store([])

        push(store, "new", bytes(range(256)))

        assert store.get_secret(RemoteRef("new")) == bytes(range(256))
        assert store.get_all_secrets(Find(name="")) == {"new": bytes(range(256))}

    def test_a_key_of_the_manifest_is_never_overwritten(self, make_store: MakeStore) -> None:
        """It exists, and it is not ours."""
        store = make_store([entry("a", "own")])

        with pytest.raises(ConflictError, match=r"'a' exists in spec\.data of Fake team-a/main"):
            push(store, "a", b"new")
        assert store.get_secret(RemoteRef("a")) == b"own"

    def test_a_key_of_the_manifest_with_a_version_does_not_stand_in_the_way(
        self, make_store: MakeStore
    ) -> None:
        """Pushed values have no version."""
        store = make_store([entry("a", "own", "v1")])

        push(store, "a", b"new")

        assert store.get_secret(RemoteRef("a")) == b"new"
        assert store.get_secret(RemoteRef("a", "v1")) == b"own"
        with pytest.raises(NoSecretError):
            store.get_secret(RemoteRef("a", "v2"))

    def test_what_was_pushed_before_is_replaced(self, make_store: MakeStore) -> None:
        """The last push counts; the same push twice changes nothing."""
        store = make_store([])
        for value in (b"1", b"2", b"2"):
            push(store, "a", value)

        assert store.get_secret(RemoteRef("a")) == b"2"

    def test_a_whole_secret_is_pushed_as_json(self, make_store: MakeStore) -> None:
        """Sorted by name, compact, `<` and `&` as they are. (The Go fake stores nothing then.)"""
        store = make_store([])

        store.push_secret(PushData("all", data={"b": b"2", "a": b"<&>"}))

        assert store.get_secret(RemoteRef("all")) == b'{"a":"<&>","b":"2"}'

    def test_a_property_is_pushed_into_the_document(self, make_store: MakeStore) -> None:
        """Its neighbours stay. (The Go fake replaces the whole value.)"""
        store = make_store([])
        push(store, "doc", b'{"user": "me"}')

        push(store, "doc", b"s3cret", property="password")

        assert json.loads(store.get_secret(RemoteRef("doc"))) == {"user": "me", "password": "s3cret"}

    @pytest.mark.parametrize(
        ("prop", "value", "error"),
        [
            pytest.param("a", b"v", ConflictError, id="into what is no document"),
            pytest.param("*", b"v", InvalidRequestError, id="to any place"),
            pytest.param("a", b"\xff", InvalidRequestError, id="bytes that are no text"),
        ],
    )
    def test_a_property_that_cannot_be_written_spoils_nothing(
        self, make_store: MakeStore, prop: str, value: bytes, error: type[Exception]
    ) -> None:
        """As in the stores that it stands in for."""
        store = make_store([])
        push(store, "text", b"plain")

        with pytest.raises(error):
            push(store, "text", value, property=prop)
        assert store.get_secret(RemoteRef("text")) == b"plain"

    def test_a_missing_source_key_writes_nothing(self, make_store: MakeStore) -> None:
        """An empty value in its place would look like a success."""
        store = make_store([])

        with pytest.raises(InvalidRequestError, match="no key 'absent'"):
            store.push_secret(PushData("a", secret_key="absent", data={"k": b"v"}))
        assert not store.secret_exists(PushRemoteRef("a"))

    @pytest.mark.parametrize(
        "metadata",
        [
            pytest.param(b"no json", id="not json"),
            pytest.param(b'{"kind": "PushSecretMetadata"}', id="no apiVersion"),
            pytest.param(
                b'{"apiVersion":"kubernetes.external-secrets.io/v1alpha1","kind":"PushSecretMetadata","spec":{"a":1}}',
                id="a field that Fake does not have",
            ),
        ],
    )
    def test_metadata_that_is_not_understood_is_refused(self, make_store: MakeStore, metadata: bytes) -> None:
        """An option that is ignored would be a lie."""
        store = make_store([])

        with pytest.raises(InvalidSpecError):
            push(store, "a", b"1", metadata=metadata)
        assert not store.secret_exists(PushRemoteRef("a"))

    def test_exists_looks_at_keys_without_version(self, make_store: MakeStore) -> None:
        """Of the manifest and pushed ones; a property makes no difference."""
        store = make_store([entry("own", "1"), entry("versioned", "1", "v1")])
        push(store, "pushed", b"1")

        assert store.secret_exists(PushRemoteRef("own"))
        assert store.secret_exists(PushRemoteRef("pushed", "any"))
        assert not store.secret_exists(PushRemoteRef("versioned"))
        assert not store.secret_exists(PushRemoteRef("absent"))

    def test_delete_removes_what_was_pushed_and_succeeds_twice(self, make_store: MakeStore) -> None:
        """Absent is what was wanted."""
        store = make_store([])
        push(store, "a", b"1")
        push(store, "ab", b"2")

        store.delete_secret(PushRemoteRef("a"))
        store.delete_secret(PushRemoteRef("a"))

        with pytest.raises(NoSecretError):
            store.get_secret(RemoteRef("a"))
        assert store.get_secret(RemoteRef("ab")) == b"2"

    def test_delete_leaves_the_manifest_alone_and_succeeds(self, make_store: MakeStore) -> None:
        """Not ours, so not touched, and that is no error."""
        store = make_store([entry("a", "own")])

        store.delete_secret(PushRemoteRef("a"))

        assert store.get_secret(RemoteRef("a")) == b"own"

    def test_delete_of_a_property_leaves_the_others_and_ends_with_the_last(
        self, make_store: MakeStore
    ) -> None:
        """Without members there is no secret."""
        store = make_store([])
        push(store, "doc", b"1", property="a")
        push(store, "doc", b"2", property="b")

        store.delete_secret(PushRemoteRef("doc", "a"))
        store.delete_secret(PushRemoteRef("doc", "absent"))
        assert store.get_secret(RemoteRef("doc")) == b'{"b":"2"}'

        store.delete_secret(PushRemoteRef("doc", "b"))
        assert not store.secret_exists(PushRemoteRef("doc"))

    def test_delete_of_a_property_that_is_not_there_changes_nothing(self, make_store: MakeStore) -> None:
        """Not even where there is none at all."""
        store = make_store([])
        push(store, "empty", b"{}")

        store.delete_secret(PushRemoteRef("empty", "absent"))

        assert store.get_secret(RemoteRef("empty")) == b"{}"


class TestValidating:
    def test_a_store_is_ready_by_default(self, make_store: MakeStore) -> None:
        """0 is ready."""
        assert list(make_store([], validationResult=0).validate()) == []
        assert list(make_store([]).validate()) == []

    @pytest.mark.parametrize(("result", "word"), [(1, "unknown"), (2, "error")])
    def test_any_other_result_comes_with_an_error(
        self, make_store: MakeStore, result: int, word: str
    ) -> None:
        """The text says where it comes from."""
        with pytest.raises(
            InvalidSpecError, match=rf"Fake team-a/main: spec\.validationResult is {result} \({word}\)"
        ):
            make_store([], validationResult=result).validate()


@pytest.mark.parametrize(
    ("spec", "part"),
    [
        pytest.param({}, "spec.data: is required", id="no data"),
        pytest.param(
            {"data": [entry("a", "1"), entry("", "2")]},
            "spec.data[1].key: string should have",
            id="empty key",
        ),
        pytest.param(
            {"data": [entry("a", "1"), entry("b", "2"), entry("c", "")]},
            "spec.data[2].value: string should have",
            id="empty value",
        ),
        pytest.param({"data": [{"key": "a"}]}, "spec.data[0].value: is required", id="no value"),
        pytest.param({"data": [], "validationResult": 3}, "spec.validationResult", id="an unknown result"),
        pytest.param({"data": [], "dta": []}, "spec.dta: is not a field", id="an unknown field"),
    ],
)
def test_a_spec_that_says_nothing_useful_is_refused_by_index(spec: dict[str, Any], part: str) -> None:
    """The user finds the entry; the value is not repeated."""
    with pytest.raises(InvalidSpecError) as caught:
        FakeStoreSpec.parse(spec, where="Fake team-a/main")

    assert part in caught.value.message
