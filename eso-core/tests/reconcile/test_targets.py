"""What is written, merged, kept and deleted."""

from __future__ import annotations

from typing import Any

import pytest
from eso_core.reconcile.calls import CallError
from eso_core.reconcile.due import owner_hash

REF = "secretStoreRef: {apiVersion: secretstore.external-secrets.io/v2alpha1, kind: SecretStore, name: main}"
SPEC = REF + "\ndata: [{secretKey: v, remoteRef: {key: k}}]\n"
EXISTING = """
apiVersion: v1
kind: Secret
metadata: {name: app, namespace: team-a, labels: {mine: "1"}, annotations: {note: n}}
type: custom
stringData: {other: theirs, v: old}
"""
MARK = "reconcile.external-secrets.io/created-by"


@pytest.fixture(autouse=True)
def _values(bench: Any) -> None:
    bench.calls.secrets = {"k": b"new"}


@pytest.mark.parametrize(
    ("policy", "missing", "existing", "mark"),
    [
        ("Owner", {"v": b"new"}, {"v": b"new"}, True),
        ("Orphan", {"v": b"new"}, {"v": b"new"}, False),
        ("Merge", None, {"v": b"new", "other": b"theirs"}, False),
        ("CreateOrMerge", {"v": b"new"}, {"v": b"new", "other": b"theirs"}, False),
        ("None", None, {"v": b"old", "other": b"theirs"}, False),
    ],
)
def test_what_a_creation_policy_does(
    bench: Any, policy: str, missing: dict[str, bytes] | None, existing: dict[str, bytes], mark: bool
) -> None:
    """To a Secret that is missing, and to one that is there."""
    spec = SPEC + f"target: {{creationPolicy: {policy}}}"
    outcome = bench.sync(spec)
    assert outcome.ready is True
    assert (bench.data() if ("team-a", "app") in bench.world.secrets else None) == missing
    assert outcome.reason == ("SecretMissing" if policy == "Merge" else "SecretSynced")

    bench.world.add_secret(EXISTING)
    bench.later(hours=2)
    assert bench.sync(spec).ready is True
    secret = bench.world.secrets["team-a", "app"]
    assert secret.data == existing
    assert secret.meta.labels["mine"] == "1"
    assert secret.type == "custom"
    assert (secret.meta.labels.get(MARK) == owner_hash("team-a", "app")) is mark


def test_a_key_that_is_no_longer_fetched_leaves_a_merged_secret(bench: Any) -> None:
    """Only what we put there: the others' keys stay."""
    bench.world.add_secret(EXISTING)
    bench.calls.secrets = {"k": b"new", "k2": b"second"}
    bench.sync(
        SPEC.replace("}}]", "}}, {secretKey: w, remoteRef: {key: k2}}]") + "target: {creationPolicy: Merge}"
    )
    assert bench.data() == {"v": b"new", "w": b"second", "other": b"theirs"}
    bench.sync(SPEC + "target: {creationPolicy: Merge}")
    assert bench.data() == {"v": b"new", "other": b"theirs"}


@pytest.mark.parametrize("policy", ["Retain", "Delete", "Merge"])
def test_what_a_deletion_policy_does_when_nothing_is_left(bench: Any, policy: str) -> None:
    """Retain fails and keeps the Secret; Delete deletes it; Merge takes our keys out of it."""
    spec = SPEC + f"target: {{deletionPolicy: {policy}}}"
    bench.sync(spec)
    bench.calls.secrets = {}
    bench.later(hours=2)
    outcome = bench.sync(spec)
    match policy:
        case "Retain":
            assert (outcome.reason, bench.data()) == ("SecretSyncedError", {"v": b"new"})
        case "Delete":
            assert (outcome.reason, outcome.delete, outcome.ready) == ("SecretDeleted", True, True)
            assert [event.reason for event in outcome.events] == ["MissingProviderSecret", "Deleted"]
            assert bench.sync(spec).reason == "SecretDeleted"
        case _:
            assert (outcome.reason, bench.data()) == ("SecretSynced", {})


@pytest.mark.parametrize("policy", ["Delete", "Merge"])
def test_one_missing_entry_of_two_is_left_out(bench: Any, policy: str) -> None:
    """The rest goes on."""
    spec = (
        REF
        + f"""
        data: [{{secretKey: v, remoteRef: {{key: k}}}}, {{secretKey: w, remoteRef: {{key: gone}}}}]
        target: {{deletionPolicy: {policy}}}
    """.replace("\n        ", "\n")
    )
    outcome = bench.sync(spec)
    assert (outcome.reason, bench.data()) == ("SecretSynced", {"v": b"new"})
    assert outcome.events[0].reason == "MissingProviderSecret"


@pytest.mark.parametrize("policy", ["Retain", "Delete", "Merge"])
@pytest.mark.parametrize("failing", ["data", "find", "template", "decoding"])
def test_a_sync_that_fails_in_part_writes_nothing(bench: Any, policy: str, failing: str) -> None:
    """Neither half a Secret, nor one without what was missing, nor none: the old one is the last that was whole."""
    bench.sync(SPEC + f"target: {{deletionPolicy: {policy}}}")
    before = bench.world.secrets["team-a", "app"]
    bench.calls.secrets = {"k": b"newer", "bad": CallError("denied", code="ACCESS_DENIED")}
    bench.calls.found = CallError("denied", code="ACCESS_DENIED")
    gone = "{secretKey: g, remoteRef: {key: gone}}, " if policy != "Retain" else ""
    data = f"data: [{gone}{{secretKey: v, remoteRef: {{key: k}}}}"
    template = ""
    match failing:
        case "data":
            data += ", {secretKey: w, remoteRef: {key: bad}}"
        case "find":
            data = f"dataFrom: [{{find: {{path: /}}}}]\n{data}"
        case "decoding":
            data += ", {secretKey: w, remoteRef: {key: k, decodingStrategy: Base64}}"
        case _:
            template = ", template: {data: {a: '{{ .v }}', b: '{{ .nope }}'}}"
    outcome = bench.sync(f"{REF}\n{data}]\ntarget: {{deletionPolicy: {policy}{template}}}")
    assert (outcome.ready, outcome.secret, outcome.delete) == (False, None, False)
    assert bench.world.secrets["team-a", "app"] == before


@pytest.mark.parametrize("policy", ["Retain", "Delete", "Merge"])
def test_an_error_never_counts_as_absence(bench: Any, policy: str) -> None:
    """A backend that is away must not cost anybody a Secret."""
    spec = SPEC + f"target: {{deletionPolicy: {policy}}}"
    bench.sync(spec)
    bench.calls.secrets = {"k": CallError("denied", code="ACCESS_DENIED")}
    bench.later(hours=2)
    assert bench.sync(spec).reason == "SecretSyncedError"
    assert bench.data() == {"v": b"new"}


def test_an_empty_find_with_retain_keeps_the_secret(bench: Any) -> None:
    """Nothing found is an answer, and the answer is "retain"."""
    spec = REF + "\ndataFrom: [{find: {name: {regexp: x}}}]"
    bench.calls.found = {"x": b"1"}
    bench.sync(spec)
    bench.calls.found = {}
    bench.later(hours=2)
    outcome = bench.sync(spec)
    assert (outcome.reason, outcome.ready, bench.data()) == ("SecretSynced", True, {"x": b"1"})


def test_somebody_elses_secret_is_never_deleted(bench: Any) -> None:
    """deletionPolicy Delete is about what this ExternalSecret made."""
    bench.world.add_secret(EXISTING)
    bench.calls.secrets = {}
    outcome = bench.sync(SPEC + "target: {deletionPolicy: Delete}")
    assert (outcome.reason, outcome.delete) == ("SecretSyncedError", False)
    assert "was not made by this ExternalSecret" in outcome.message


def test_two_external_secrets_do_not_fight_for_one_secret(bench: Any) -> None:
    """The second is told; the first stays in charge."""
    bench.sync(SPEC + "target: {name: shared}")
    bench.status = type(bench.status)()
    outcome = bench.sync(SPEC + "target: {name: shared}", name="other")
    assert outcome.ready is False
    assert "was made by another ExternalSecret: give one of the two another target.name" in outcome.message
    assert outcome.retry is False


@pytest.mark.parametrize("policy", ["Orphan", "Merge", "CreateOrMerge"])
def test_a_secret_of_another_external_secret_is_left_alone(bench: Any, policy: str) -> None:
    """Whatever the second would do to it, the first would undo, and its mark would be lost."""
    bench.sync(SPEC + "target: {name: shared}")
    before = bench.world.secrets["team-a", "shared"]
    bench.status = type(bench.status)()
    outcome = bench.sync(SPEC + f"target: {{name: shared, creationPolicy: {policy}}}", name="other")
    assert (outcome.ready, outcome.retry) == (False, False)
    assert "was made by another ExternalSecret: give one of the two another target.name" in outcome.message
    assert bench.world.secrets["team-a", "shared"] == before


@pytest.mark.parametrize("policy", ["Orphan", "Merge", "CreateOrMerge"])
def test_an_external_secret_may_give_up_being_the_owner(bench: Any, policy: str) -> None:
    """Its own mark is no obstacle, and is taken off, so that the Secret outlives it."""
    bench.sync(SPEC)
    assert bench.sync(SPEC + f"target: {{creationPolicy: {policy}}}").ready is True
    assert MARK not in bench.world.secrets["team-a", "app"].meta.labels
    assert bench.data() == {"v": b"new"}


def test_a_controller_of_another_kind_stays_the_owner(bench: Any) -> None:
    """Owner needs to be the owner."""
    owned = EXISTING.replace(
        "annotations:",
        "ownerReferences: [{apiVersion: a/v1, kind: Sealed, name: s, uid: u, controller: true}], annotations:",
    )
    bench.world.add_secret(owned)
    outcome = bench.sync(SPEC)
    assert "is owned by Sealed 's'" in outcome.message
    assert bench.sync(SPEC + "target: {creationPolicy: Merge}").ready is True


def test_an_immutable_secret_is_written_once(bench: Any) -> None:
    """A change that can't be made is told, and is not tried again and again."""
    spec = SPEC + "target: {immutable: true}"
    assert bench.sync(spec).secret.immutable is True
    bench.later(hours=2)
    assert bench.sync(spec).ready is True
    bench.calls.secrets = {"k": b"newer"}
    bench.later(hours=2)
    outcome = bench.sync(spec)
    assert (outcome.ready, outcome.retry) == (False, False)
    assert "is immutable" in outcome.message


def test_metadata_of_the_external_secret_is_copied(bench: Any) -> None:
    """But not kubectl's copy of the whole manifest."""
    bench.sync(
        SPEC,
        labels={"app": "x"},
        annotations={"a": "1", "kubectl.kubernetes.io/last-applied-configuration": "{}"},
    )
    meta = bench.world.secrets["team-a", "app"].meta
    assert meta.labels["app"] == "x"
    assert meta.annotations["a"] == "1"
    assert not any("last-applied" in key for key in meta.annotations)
    bench.sync(SPEC)
    assert "app" not in bench.world.secrets["team-a", "app"].meta.labels


def test_nothing_is_written_when_nothing_changed(bench: Any) -> None:
    """Whoever watches Secrets restarts pods on a write."""
    assert bench.sync(SPEC).secret is not None
    bench.later(hours=2)
    outcome = bench.sync(SPEC)
    assert (outcome.asked, outcome.secret, outcome.events) == (True, None, ())


def test_with_a_uid_the_owner_reference_is_written(bench: Any) -> None:
    """In a cluster the garbage collector needs it; without a UID Kubernetes would refuse it."""
    assert bench.sync(SPEC).secret.owner is None
    bench.later(hours=2)
    (reference,) = bench.sync(SPEC, uid="u-1").secret.manifest()["metadata"]["ownerReferences"]
    assert (reference["kind"], reference["name"], reference["uid"]) == ("ExternalSecret", "app", "u-1")


TEMPLATES = [
    ("data", "data: {url: 'x-{{ .v }}'}", {"url": b"x-new"}),
    ("replace", "mergePolicy: Replace, data: {url: '{{ .v }}'}", {"url": b"new"}),
    ("merge", "mergePolicy: Merge, data: {url: '{{ .v }}'}", {"url": b"new", "v": b"new"}),
    ("metadata only", "metadata: {labels: {a: b}}", {"v": b"new"}),
    ("literal", "templateFrom: [{literal: 'a: {{ .v }}'}]", {"a": b"new"}),
    ("data over literal", "templateFrom: [{literal: 'a: {{ .v }}'}], data: {a: own}", {"a": b"own"}),
    (
        "yaml scalars",
        "templateFrom: [{literal: \"a: yes\\nb:\\nc: 7\\nd: '007'\"}]",
        {"a": b"true", "b": b"", "c": b"7", "d": b"007"},
    ),
    ("config map values", "templateFrom: [{configMap: {name: t, items: [{key: f}]}}]", {"f": b"k: new"}),
    (
        "config map both",
        "templateFrom: [{configMap: {name: t, items: [{key: f, templateAs: KeysAndValues}]}}]",
        {"k": b"new"},
    ),
    (
        "decoded",
        "templateFrom: [{literal: 'a: {{ .v | b64enc }}', valuesDecodingStrategy: Base64}]",
        {"a": b"new"},
    ),
]


@pytest.mark.parametrize(("template", "expected"), [t[1:] for t in TEMPLATES], ids=[t[0] for t in TEMPLATES])
def test_what_a_template_makes(bench: Any, template: str, expected: dict[str, bytes]) -> None:
    """Fetched data only where it is merged or nothing else is said; then templateFrom in order; then data."""
    bench.world.config_maps["team-a", "t"] = {"f": b"k: {{ .v }}"}
    outcome = bench.sync(SPEC + f"target: {{template: {{{template}}}}}")
    assert outcome.ready is True, outcome.message
    assert bench.data() == expected


def test_a_template_sets_type_and_metadata(bench: Any) -> None:
    """Metadata values are templates too; what the ExternalSecret carries is then not copied."""
    bench.sync(
        SPEC
        + "target: {template: {type: kubernetes.io/tls, metadata: {labels: {l: 'x-{{ .v }}'}, annotations: {a: b},"
        " finalizers: [f/x]}, templateFrom: [{literal: 'note: m', target: annotations}]}}",
        labels={"app": "x"},
    )
    secret = bench.world.secrets["team-a", "app"]
    assert secret.type == "kubernetes.io/tls"
    assert secret.meta.labels["l"] == "x-new"
    assert "app" not in secret.meta.labels
    assert (secret.meta.annotations["a"], secret.meta.annotations["note"]) == ("b", "m")
    assert secret.finalizers == ("f/x",)


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("data: {a: '{{ .nope }}'}", "target.template.data['a']: line 1 column 4: there is no key 'nope'"),
        (
            "data: {a: '{{ .v | now }}'}",
            "target.template.data['a']: line 1 column 9: function 'now' is not supported",
        ),
        (
            "templateFrom: [{literal: 'a: [1]'}]",
            "target.template.templateFrom[0].literal: the value of key 'a' is no text",
        ),
        (
            "templateFrom: [{literal: 'a b: x'}]",
            (
                "target.template: key 'a b' has characters that a Secret's key can't have (letters, digits, `-`, `.`, `_`): correct it "
                "in the template"
            ),
        ),
        (
            "templateFrom: [{literal: '- x'}]",
            "target.template.templateFrom[0].literal: the result is not a map",
        ),
        (
            "templateFrom: [{literal: '{{ .v }}: : x'}]",
            "target.template.templateFrom[0].literal: the result is not YAML",
        ),
        (
            "templateFrom: [{secret: {name: gone, items: [{key: f}]}}]",
            "target.template.templateFrom[0].secret: team-a/gone does not exist",
        ),
        (
            "metadata: {labels: {l: '{{ fail .v }}'}}",
            "target.template.metadata.labels['l']: line 1 column 4: fail",
        ),
    ],
)
def test_a_template_that_fails_names_its_place_and_no_value(bench: Any, template: str, said: str) -> None:
    """Nothing is written when any part fails."""
    bench.calls.secrets = {"k": b"canary"}
    outcome = bench.sync(SPEC + f"target: {{template: {{{template}}}}}")
    assert outcome.secret is None
    assert said in outcome.message
    assert "canary" not in outcome.message


def test_bytes_that_are_no_text_survive_a_template(bench: Any) -> None:
    """A keystore put through `{{ .v }}` has to stay a keystore."""
    value = bytes(range(256))
    bench.calls.secrets = {"k": value}
    bench.sync(SPEC + "target: {template: {data: {a: '{{ .v }}', b: '{{ .v | b64enc | b64dec }}'}}}")
    assert bench.data() == {"a": value, "b": value}
