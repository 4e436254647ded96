"""What is fetched, in which order, and what an error says."""

from __future__ import annotations

from typing import Any

import pytest
from eso_core.reconcile.calls import CallError, Made

REF = "secretStoreRef: {apiVersion: secretstore.external-secrets.io/v2alpha1, kind: SecretStore, name: main}"


def test_data_overrides_data_from(bench: Any) -> None:
    """dataFrom entries come first, in order; data has the last word."""
    bench.calls.maps = {"one": {"a": b"1", "b": b"1", "c": b"1"}, "two": {"b": b"2", "c": b"2"}}
    bench.calls.secrets = {"three": b"3"}

    outcome = bench.sync(f"""
        {REF}
        data:
          - {{secretKey: c, remoteRef: {{key: three}}}}
        dataFrom:
          - extract: {{key: one}}
          - extract: {{key: two}}
    """)

    assert outcome.reason == "SecretSynced"
    assert bench.data() == {"a": b"1", "b": b"2", "c": b"3"}
    assert bench.calls.methods() == ["get_secret_map", "get_secret_map", "get_secret"]


def test_property_version_and_policy_are_forwarded_untouched(bench: Any) -> None:
    """They mean something to the provider only."""
    bench.calls.secrets = {"k": b"v"}
    bench.sync(f"""
        {REF}
        data:
          - secretKey: c
            remoteRef: {{key: k, property: a.b, version: uuid/7, metadataPolicy: Fetch, decodingStrategy: None}}
    """)
    _method, _via, ref = bench.calls.asked[0]
    assert (ref.key, ref.property, ref.version, ref.metadata_policy) == ("k", "a.b", "uuid/7", "Fetch")


@pytest.mark.parametrize(
    ("strategy", "stored", "expected"),
    [
        ("None", b"aGk=", b"aGk="),
        ("Base64", b"aGk=", b"hi"),
        ("Base64", b"aG\r\nk=\n", b"hi"),
        ("Base64URL", b"_-8=", b"\xff\xef"),
        ("Auto", b"aGk=", b"hi"),
        ("Auto", b"_-8=", b"\xff\xef"),
        ("Auto", b"1234", b"\xd7\x6d\xf8"),
        ("Auto", b"not base64!", b"not base64!"),
        ("Auto", b"aGk", b"aGk"),
        ("Base64", b"", b""),
    ],
    ids=[
        "none",
        "base64",
        "line breaks",
        "base64url",
        "auto base64",
        "auto url",
        "auto digits",
        "auto text",
        "auto no padding",
        "empty",
    ],
)
def test_a_value_is_decoded_as_asked(bench: Any, strategy: str, stored: bytes, expected: bytes) -> None:
    """As Go's decoders: padding required, line breaks ignored, Auto never fails."""
    bench.calls.secrets = {"k": stored}
    outcome = bench.sync(f"""
        {REF}
        data: [{{secretKey: v, remoteRef: {{key: k, decodingStrategy: {strategy}}}}}]
    """)
    assert outcome.ready, outcome.message
    assert bench.data() == {"v": expected}


@pytest.mark.parametrize("stored", [b"canary-not-base64", b"aGk", b"_-8=", b"aGk=aGk=", b"aGk=="])
def test_what_is_not_base64_fails_naming_entry_and_strategy(bench: Any, stored: bytes) -> None:
    """Half-decoded values must not reach a Secret, and the value must not reach the message."""
    bench.calls.maps = {"k": {"field": stored}}
    outcome = bench.sync(f"""
        {REF}
        dataFrom: [{{extract: {{key: k, decodingStrategy: Base64}}}}]
    """)
    assert outcome.message == (
        "spec.dataFrom[0]: key 'field': the value is not Base64: correct decodingStrategy, or the value in the backend"
    )
    assert outcome.secret is None


def test_a_nul_byte_fails_only_when_asked(bench: Any) -> None:
    """nullBytePolicy Fail names the first key in order, never the data."""
    bench.calls.maps = {"k": {"z": b"a\0b", "b": b"a\0b"}}
    spec = REF + "\ndataFrom: [{extract: {key: k, nullBytePolicy: %s}}]"
    assert bench.sync(spec % "Ignore").ready is True
    failed = bench.sync(spec % "Fail")
    assert (
        failed.message == "spec.dataFrom[0]: the value of key 'b' has a NUL byte, and nullBytePolicy is Fail"
    )


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [("Default", {"a_b": b"1", "_": b"2"}), ("Unicode", {"a_U002f_b": b"1", "_U00e4__U1f600_"[7:]: b"2"})],
    ids=["default", "unicode"],
)
def test_keys_of_a_find_are_converted(bench: Any, strategy: str, expected: dict[str, bytes]) -> None:
    """Names in a backend may have characters that a Secret's key can't have."""
    bench.calls.found = {"a/b": b"1", "\U0001f600": b"2"}
    bench.sync(f"""
        {REF}
        dataFrom: [{{find: {{name: {{regexp: ""}}, conversionStrategy: {strategy}}}}}]
    """)
    assert bench.data() == expected


def test_two_keys_that_become_one_are_an_error(bench: Any) -> None:
    """Which one would win is left to chance otherwise."""
    bench.calls.found = {"a/b": b"1", "a:b": b"2"}
    outcome = bench.sync(f"{REF}\ndataFrom: [{{find: {{tags: {{x: y}}}}}}]")
    assert outcome.ready is False
    assert "a/b" in outcome.message
    assert "a:b" in outcome.message


def test_rewrite_turns_conversion_off(bench: Any) -> None:
    """rewrite sees names as they are in the backend, and answers for the result."""
    bench.calls.found = {"app/one": b"1"}
    spec = REF + "\ndataFrom: [{find: {name: {regexp: app}}, rewrite: [{regexp: {source: %s, target: ''}}]}]"
    assert bench.sync(spec % "^app/").ready is True
    assert bench.data() == {"one": b"1"}
    failed = bench.sync(spec % "nothing")
    assert failed.ready is False
    assert failed.message == (
        "spec.dataFrom[0]: key 'app/one' has characters that a Secret's key can't have (letters, digits, `-`, `.`, `_`): "
        "correct rewrite, or remove it so that conversionStrategy applies"
    )


def test_a_letter_that_conversion_leaves_is_refused_with_what_helps(bench: Any) -> None:
    """Conversion keeps every letter, of any alphabet; Kubernetes does not take them."""
    bench.calls.found = {"schl\u00fcssel": b"1"}
    failed = bench.sync(REF + "\ndataFrom: [{find: {name: {regexp: .}}}]")
    assert failed.message.endswith("(letters, digits, `-`, `.`, `_`): rename it with rewrite")


def test_a_generated_map_is_neither_converted_nor_decoded(bench: Any) -> None:
    """A generator's values are new: nothing in them can be encoded by accident."""
    bench.calls.made = [Made({"password": b"aGk="})]
    spec = "dataFrom: [{sourceRef: {generatorRef: {apiVersion: generator.external-secrets.io/v2alpha1, kind: Generator, name: password}}}]"
    bench.sync(spec)
    assert bench.data() == {"password": b"aGk="}


def test_a_key_of_more_than_253_bytes_is_refused(bench: Any) -> None:
    """Kubernetes would refuse the whole Secret."""
    bench.calls.maps = {"k": {"x" * 254: b"1"}}
    outcome = bench.sync(f"{REF}\ndataFrom: [{{extract: {{key: k}}}}]")
    assert "more than 253 bytes" in outcome.message


def test_another_store_for_one_entry(bench: Any, world: Any) -> None:
    """sourceRef.storeRef wins over secretStoreRef."""
    bench.calls.secrets = {"k": b"v"}
    bench.sync("""
        data:
          - secretKey: v
            remoteRef: {key: k}
            sourceRef:
              storeRef: {apiVersion: secretstore.external-secrets.io/v2alpha1, kind: ClusterSecretStore, name: shared}
    """)
    (via,) = bench.calls.vias("get_secret")
    assert via.store.where == "ClusterSecretStore shared"


@pytest.mark.parametrize(
    ("spec", "place"),
    [
        ("data: [{secretKey: v, remoteRef: {key: gone}}]", "spec.data[0] (key 'gone')"),
        ("dataFrom: [{extract: {key: gone}}]", "spec.dataFrom[0].extract"),
        ("dataFrom: [{find: {path: /}}]", "spec.dataFrom[0].find"),
        (
            (
                "dataFrom: [{sourceRef: {generatorRef: {apiVersion: generator.external-secrets.io/v2alpha1, kind: Generator, "
                "name: password}}}]"
            ),
            "spec.dataFrom[0].sourceRef.generatorRef",
        ),
    ],
    ids=["data", "extract", "find", "generator"],
)
def test_an_error_names_its_entry(bench: Any, spec: str, place: str) -> None:
    """A user with twenty entries has to know which one."""
    error = CallError("Secret does not exist: 'gone'")
    bench.calls.found, bench.calls.made = error, [error]
    outcome = bench.sync(f"{REF}\n{spec}")
    assert (outcome.reason, outcome.ready) == ("SecretSyncedError", False)
    assert outcome.message == f"{place}: Secret does not exist: 'gone'"
    assert outcome.status.message == "could not get secret data from provider"
    assert [event.reason for event in outcome.events] == ["UpdateFailed"]


def test_the_delay_a_provider_asks_for_is_kept(bench: Any) -> None:
    """A back-off shorter than what the backend asked for would only make it worse."""
    bench.calls.secrets = {"k": CallError("slow down", code="RATE_LIMITED", retryable=True, retry_after=17.0)}
    outcome = bench.sync(f"{REF}\ndata: [{{secretKey: v, remoteRef: {{key: k}}}}]")
    assert outcome.requeue_after == 17.0
