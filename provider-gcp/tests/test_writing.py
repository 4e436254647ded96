"""PushSecret, DeleteSecret, SecretExists."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import pytest
from grpc import StatusCode

if TYPE_CHECKING:
    from provider_common.testing import StoreHandle

    from .conftest import Cloud

OURS = {"managed-by": "external-secrets"}


def metadata(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "kubernetes.external-secrets.io/v1alpha1",
        "kind": "PushSecretMetadata",
        "spec": spec,
    }


def push(cloud: Cloud, store: StoreHandle, value: bytes, *, key: str = "db", **more: Any) -> None:
    cloud.harness.push(store, key, {"k": value}, secret_key="k", **more)


class TestPushing:
    def test_a_new_secret_is_marked_as_ours(self, cloud: Cloud) -> None:
        store = cloud.store()

        push(cloud, store, b"s3cret")

        made = cloud.google.secret("db")
        assert made is not None
        assert dict(made.labels) == OURS
        assert "automatic" in made.replication
        assert cloud.google.values("db") == [b"s3cret"]
        assert cloud.google.checked == {"db"}
        assert [method for method, _ in cloud.google.calls] == [
            "GetSecret",
            "CreateSecret",
            "AccessSecretVersion",
            "AddSecretVersion",
        ]

    def test_the_same_value_again_writes_nothing(self, cloud: Cloud) -> None:
        store = cloud.store()
        push(cloud, store, b"s3cret", metadata=metadata(labels={"a": "b"}, topics=["projects/acme/topics/t"]))
        cloud.google.calls.clear()

        push(cloud, store, b"s3cret", metadata=metadata(labels={"a": "b"}, topics=["projects/acme/topics/t"]))

        assert [method for method, _ in cloud.google.calls] == ["GetSecret", "AccessSecretVersion"]

    def test_a_changed_value_is_a_new_version(self, cloud: Cloud) -> None:
        store = cloud.store()
        push(cloud, store, b"one")

        push(cloud, store, b"two")

        assert cloud.google.values("db") == [b"one", b"two"]
        assert cloud.harness.get_secret(store, "db", version="1") == b"one"

    def test_a_whole_secret_is_json_with_sorted_keys(self, cloud: Cloud) -> None:
        cloud.harness.push(cloud.store(), "db", {"b": b"<2>", "a": b"1"})

        assert cloud.google.values("db") == [b'{"a":"1","b":"<2>"}']

    def test_a_secret_that_is_not_ours_is_left_as_it_is(self, cloud: Cloud) -> None:
        cloud.google.put("db", b"theirs", labels={"team": "x"})
        store = cloud.store()

        with cloud.harness.fails() as failure:
            push(cloud, store, b"ours")

        assert failure.code is StatusCode.FAILED_PRECONDITION
        assert failure.error.code == "CONFLICT"
        assert cloud.google.values("db") == [b"theirs"]

    def test_a_secret_that_appears_at_the_same_moment_is_not_overwritten(self, cloud: Cloud) -> None:
        cloud.google.before("CreateSecret", lambda: cloud.google.put("db", b"theirs"))
        store = cloud.store()

        with cloud.harness.fails() as failure:
            push(cloud, store, b"ours")

        assert failure.error.code == "CONFLICT"
        assert cloud.google.values("db") == [b"theirs"]

    @pytest.mark.parametrize("labels", [{}, {"team": "x"}], ids=["unlabelled", "labelled"])
    def test_a_property_may_be_added_to_a_secret_that_is_not_ours_and_it_stays_theirs(
        self, cloud: Cloud, labels: dict[str, str]
    ) -> None:
        """The write is accepted, the mark is not added, so a later delete does not take their keys along."""
        cloud.google.put("db", b'{"theirs": 1}', labels=labels)
        store = cloud.store()

        push(cloud, store, b"v", property="ours")
        cloud.harness.delete(store, "db", property="ours")
        cloud.harness.delete(store, "db")

        found = cloud.google.secret("db")
        assert found is not None
        assert dict(found.labels) == labels
        assert cloud.google.values("db")[1:] == [b'{"theirs": 1,"ours":"v"}']
        assert cloud.google.count("UpdateSecret") == cloud.google.count("DeleteSecret") == 0

    def test_a_property_is_written_as_text_and_the_rest_stays_byte_for_byte(self, cloud: Cloud) -> None:
        cloud.google.put("db", b'{ "keep":  [1, 2] }', labels=OURS)
        store = cloud.store()

        push(cloud, store, b"7", property="a.b")

        assert cloud.google.values("db")[-1] == b'{ "keep":  [1, 2] ,"a":{"b":"7"}}'

    def test_the_first_property_makes_the_secret(self, cloud: Cloud) -> None:
        push(cloud, cloud.store(), b"v", property="user")

        made = cloud.google.secret("db")
        assert made is not None
        assert dict(made.labels) == OURS
        assert cloud.google.values("db") == [b'{"user":"v"}']

    def test_a_property_that_has_the_value_writes_nothing(self, cloud: Cloud) -> None:
        cloud.google.put("db", b'{"user": 7}', labels=OURS)
        store = cloud.store()

        push(cloud, store, b"7", property="user")

        assert cloud.google.count("AddSecretVersion") == 0

    @pytest.mark.parametrize("text", [b"plain text", b'{"half": ', b'"text"', b"7"])
    def test_a_property_does_not_go_into_text_that_is_no_document(self, cloud: Cloud, text: bytes) -> None:
        """It would replace what somebody keeps there."""
        cloud.google.put("db", text, labels=OURS)
        store = cloud.store()

        with cloud.harness.fails() as failure:
            push(cloud, store, b"v", property="user")

        assert failure.error.code == "CONFLICT"
        assert cloud.google.values("db") == [text]

    def test_bytes_that_are_no_text_are_refused_for_a_property(self, cloud: Cloud) -> None:
        """They would be spoiled, and never be equal to what is stored."""
        store = cloud.store()

        with cloud.harness.fails() as failure:
            push(cloud, store, b"\xff\xfe", property="user")

        assert failure.code is StatusCode.INVALID_ARGUMENT
        assert cloud.google.calls == []

    @pytest.mark.parametrize(
        ("prop", "value"),
        [("*", b"v"), ("a.99999999", b"v"), ("user", b"x" * 65530)],
        ids=["any", "padding", "large"],
    )
    def test_a_property_that_cannot_be_written_is_refused_before_anything_is_made(
        self, cloud: Cloud, prop: str, value: bytes
    ) -> None:
        """A wildcard would overwrite whatever it finds in a secret that may be somebody else's."""
        store = cloud.store()

        with cloud.harness.fails() as failure:
            push(cloud, store, value, property=prop)

        assert failure.error.retryable is False
        assert cloud.google.calls == []

    def test_metadata_beside_a_property_is_refused_before_anything_is_made(self, cloud: Cloud) -> None:
        store = cloud.store()

        with cloud.harness.fails() as failure:
            push(cloud, store, b"v", property="user", metadata=metadata(labels={"a": "b"}))

        assert failure.code is StatusCode.INVALID_ARGUMENT
        assert cloud.google.calls == []

    @pytest.mark.parametrize("state", ["DISABLED", "DESTROYED"])
    def test_a_push_onto_a_disabled_latest_version_is_an_error(self, cloud: Cloud, state: str) -> None:
        """Somebody took the value away on purpose."""
        cloud.google.put("db", b"old", labels=OURS)
        cloud.google.set_state("db", 1, state)
        store = cloud.store()

        with cloud.harness.fails() as failure:
            push(cloud, store, b"new")

        assert failure.code is StatusCode.FAILED_PRECONDITION
        assert cloud.google.values("db") == [b"old"]

    @pytest.mark.parametrize(
        ("value", "word"), [(b"", "empty"), (b"x" * 65537, "65537")], ids=["empty", "large"]
    )
    def test_what_google_does_not_take_is_refused_before_anything_is_made(
        self, cloud: Cloud, value: bytes, word: str
    ) -> None:
        store = cloud.store()

        with cloud.harness.fails() as failure:
            push(cloud, store, value)

        assert word in failure.message
        assert cloud.google.calls == []

    def test_two_properties_pushed_at_once_are_both_there(self, cloud: Cloud) -> None:
        """Read, change, write: the second waits for the first instead of failing or losing it."""
        store = cloud.store()
        names = [f"p{number}" for number in range(6)]

        threads = [
            threading.Thread(target=push, args=(cloud, store, b"v"), kwargs={"property": name})
            for name in names
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert json.loads(cloud.google.values("db")[-1]) == dict.fromkeys(names, "v")

    def test_waiting_for_another_push_ends_with_the_callers_time(self, cloud: Cloud) -> None:
        store = cloud.store()
        push(cloud, store, b"one")
        entered = threading.Event()
        cloud.google.before("GetSecret", entered.set)
        cloud.google.hang("AccessSecretVersion")
        failures = []

        def first() -> None:
            with cloud.harness.fails() as failure:
                push(cloud, store, b"two", timeout=4)
            failures.append(failure.code)

        thread = threading.Thread(target=first)
        thread.start()
        assert entered.wait(10)
        with cloud.harness.fails() as failure:
            push(cloud, store, b"three", timeout=1)
        thread.join()

        assert failure.code is StatusCode.DEADLINE_EXCEEDED
        assert failures == [StatusCode.DEADLINE_EXCEEDED]


class TestMetadata:
    def test_labels_annotations_and_topics_are_those_of_the_metadata(self, cloud: Cloud) -> None:
        store = cloud.store()
        push(cloud, store, b"v", metadata=metadata(labels={"a": "1", "b": "2"}, annotations={"x": "y"}))

        push(
            cloud,
            store,
            b"v",
            metadata=metadata(labels={"a": "3"}, annotations={"z": "w"}, topics=["projects/acme/topics/t"]),
        )

        found = cloud.google.secret("db")
        assert found is not None
        assert dict(found.labels) == {"a": "3", **OURS}
        assert dict(found.annotations) == {"z": "w"}
        assert [topic.name for topic in found.topics] == ["projects/acme/topics/t"]
        assert cloud.google.values("db") == [b"v"]

    def test_changed_topics_are_written_once(self, cloud: Cloud) -> None:
        """They are in the mask, so the next push finds nothing to do."""
        store = cloud.store()
        push(cloud, store, b"v", metadata=metadata(topics=["projects/acme/topics/old"]))

        for _ in range(3):
            push(cloud, store, b"v", metadata=metadata(topics=["projects/acme/topics/new"]))

        assert cloud.google.count("UpdateSecret") == 1

    @pytest.mark.parametrize("spelling", ["mergePolicy", "MergePolicy"])
    def test_merge_lays_existing_labels_over_those_of_the_metadata(self, cloud: Cloud, spelling: str) -> None:
        """Labels only. Names of fields match in any case, as they do in Go."""
        cloud.google.put("db", b"v", labels={"a": "old", "c": "3", **OURS}, annotations={"n": "old"})
        store = cloud.store()

        push(cloud, store, b"v", metadata=metadata(labels={"a": "new", "b": "2"}, **{spelling: "Merge"}))

        found = cloud.google.secret("db")
        assert found is not None
        assert dict(found.labels) == {"a": "old", "b": "2", "c": "3", **OURS}
        assert dict(found.annotations) == {}

    def test_without_metadata_labels_annotations_and_topics_are_left_alone(self, cloud: Cloud) -> None:
        """What is not asked for is not touched."""
        cloud.google.put("db", b"old", labels={"team": "x", **OURS}, annotations={"n": "v"})
        store = cloud.store()

        push(cloud, store, b"new")

        found = cloud.google.secret("db")
        assert found is not None
        assert (dict(found.labels), dict(found.annotations)) == ({"team": "x", **OURS}, {"n": "v"})
        assert cloud.google.count("UpdateSecret") == 0

    @pytest.mark.parametrize(
        ("spec", "locations", "keys"),
        [
            ({"replicationLocations": ["a1", "b1"], "cmekKeyName": "k"}, ["a1", "b1"], ["k", "k"]),
            ({"replicationLocation": "c1"}, ["c1"], [""]),
            ({"replicationLocation": "c1", "replicationLocations": ["a1"]}, ["a1"], [""]),
        ],
        ids=["plural-with-key", "singular", "plural-wins"],
    )
    def test_locations_make_replicas(
        self, cloud: Cloud, spec: dict[str, Any], locations: list[str], keys: list[str]
    ) -> None:
        push(cloud, cloud.store(), b"v", metadata=metadata(**spec))

        made = cloud.google.secret("db")
        assert made is not None
        replicas = made.replication.user_managed.replicas
        assert [replica.location for replica in replicas] == locations
        assert [replica.customer_managed_encryption.kms_key_name for replica in replicas] == keys

    def test_a_key_alone_is_for_automatic_replication(self, cloud: Cloud) -> None:
        push(cloud, cloud.store(), b"v", metadata=metadata(cmekKeyName="k"))

        made = cloud.google.secret("db")
        assert made is not None
        assert made.replication.automatic.customer_managed_encryption.kms_key_name == "k"

    def test_a_regional_secret_has_no_replication_and_its_own_key(self, cloud: Cloud) -> None:
        """A key that is asked for and silently left out would be worse than an error."""
        store = cloud.store(location="europe-west3")

        push(cloud, store, b"v", metadata=metadata(cmekKeyName="k"))

        made = cloud.regional.secret("db")
        assert made is not None
        assert "replication" not in made
        assert made.customer_managed_encryption.kms_key_name == "k"

    @pytest.mark.parametrize(
        "bad",
        [
            {"kind": "PushSecretMetadata"},
            metadata(label={"a": "b"}),
            metadata(ttl="3600s"),
            metadata(mergePolicy="Sometimes"),
        ],
        ids=["no-version", "unknown-field", "no-time-to-live", "unknown-policy"],
    )
    def test_metadata_that_is_not_understood_is_refused(self, cloud: Cloud, bad: dict[str, Any]) -> None:
        store = cloud.store()

        with cloud.harness.fails() as failure:
            push(cloud, store, b"v", metadata=bad)

        assert failure.code is StatusCode.INVALID_ARGUMENT
        assert cloud.google.calls == []

    def test_somebody_elses_change_at_the_same_moment_is_not_overwritten(self, cloud: Cloud) -> None:
        """The etag of what was read goes along."""
        cloud.google.put("db", b"v", labels=OURS)
        store = cloud.store()

        def change() -> None:
            cloud.google._secrets["acme", "db"].changes += 1

        cloud.google.before("UpdateSecret", change)
        with cloud.harness.fails() as failure:
            push(cloud, store, b"v", metadata=metadata(labels={"a": "b"}))

        assert failure.code is StatusCode.UNAVAILABLE
        assert failure.error.retryable
        cloud.google.before("DeleteSecret", change)
        with cloud.harness.fails() as failure:
            cloud.harness.delete(store, "db")
        assert failure.code is StatusCode.UNAVAILABLE
        assert cloud.google.values("db") == [b"v"]


class TestDeleting:
    def test_what_we_made_goes_with_all_versions(self, cloud: Cloud) -> None:
        store = cloud.store()
        push(cloud, store, b"v")

        cloud.harness.delete(store, "db")
        cloud.harness.delete(store, "db")

        assert cloud.google.secret("db") is None

    def test_what_is_not_ours_stays_and_that_is_a_success(self, cloud: Cloud) -> None:
        cloud.google.put("db", b"theirs", labels={"managed-by": "terraform"})

        cloud.harness.delete(cloud.store(), "db")

        assert cloud.google.values("db") == [b"theirs"]

    def test_one_property_goes_and_the_others_stay(self, cloud: Cloud) -> None:
        store = cloud.store()
        push(cloud, store, b"1", property="a")
        push(cloud, store, b"2", property="b")

        cloud.harness.delete(store, "db", property="a")

        assert cloud.google.values("db")[-1] == b'{"b":"2"}'

    @pytest.mark.parametrize("prop", ["a", "a.b.c"])
    def test_the_last_property_takes_the_secret_along(self, cloud: Cloud, prop: str) -> None:
        store = cloud.store()
        push(cloud, store, b"1", property=prop)

        cloud.harness.delete(store, "db", property=prop)

        assert cloud.google.secret("db") is None

    @pytest.mark.parametrize("text", [b"plain text", b'{"a": 1, "half": '])
    def test_a_property_of_a_value_that_is_no_document_is_not_there(self, cloud: Cloud, text: bytes) -> None:
        """What is cut out of half a document would be less than half."""
        cloud.google.put("db", text, labels=OURS)

        cloud.harness.delete(cloud.store(), "db", property="a")

        assert cloud.google.values("db") == [text]

    def test_a_property_that_is_not_there_changes_nothing(self, cloud: Cloud) -> None:
        store = cloud.store()
        push(cloud, store, b"1", property="a")

        cloud.harness.delete(store, "db", property="b")

        assert cloud.google.values("db") == [b'{"a":"1"}']

    def test_a_secret_that_vanishes_while_it_is_deleted_is_a_success(self, cloud: Cloud) -> None:
        store = cloud.store()
        push(cloud, store, b"v")
        cloud.google.before("DeleteSecret", lambda: cloud.google.remove("db"))

        cloud.harness.delete(store, "db")

        assert cloud.google.secret("db") is None

    def test_a_refused_delete_is_an_error(self, cloud: Cloud) -> None:
        """Only what is absent or not ours is a success."""
        store = cloud.store()
        push(cloud, store, b"v")
        cloud.google.denied.add("secretmanager.secrets.delete")

        with cloud.harness.fails() as failure:
            cloud.harness.delete(store, "db")

        assert failure.code is StatusCode.PERMISSION_DENIED


class TestExisting:
    def test_a_secret_with_an_enabled_version_exists(self, cloud: Cloud) -> None:
        cloud.google.put("db", b"one")
        cloud.google.put("db", b"two")
        cloud.google.set_state("db", 2, "DISABLED")
        cloud.google.put("empty", None)
        store = cloud.store()

        found = {key: cloud.harness.exists(store, key) for key in ("db", "empty", "absent")}

        assert found == {"db": True, "empty": False, "absent": False}

    def test_a_property_plays_no_part(self, cloud: Cloud) -> None:
        cloud.google.put("db", b"text")

        assert cloud.harness.exists(cloud.store(), "db", property="absent")

    def test_a_secret_with_nothing_enabled_is_an_error(self, cloud: Cloud) -> None:
        """It is neither there to be read nor absent."""
        cloud.google.put("db", b"one")
        cloud.google.set_state("db", 1, "DESTROYED")
        store = cloud.store()

        with cloud.harness.fails() as failure:
            cloud.harness.exists(store, "db")

        assert failure.code is StatusCode.FAILED_PRECONDITION
