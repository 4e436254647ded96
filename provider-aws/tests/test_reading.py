"""Reading secrets and parameters, whole and by property, by version and as metadata."""

from __future__ import annotations

import grpc
import pytest
from eso_e2e.faults import Answer

from .bench import NAMESPACE, Bench, plain_client, target

pytestmark = pytest.mark.real

ROLE = "arn:aws:iam::123456789012:role/external-secrets"


def test_the_example_of_the_design_works_verbatim(bench: Bench) -> None:
    """Role, region, and keys in one Secret: the manifest that users see first."""
    bench.aws("secretsmanager").create_secret(Name="db", SecretString="s3cret")

    assert bench.harness.get_secret(bench.store(role=ROLE), "db") == b"s3cret"


@pytest.mark.parametrize("kind", ["SecretsManager", "ParameterStore"])
def test_manifests_of_the_go_provider_are_served(bench: Bench, kind: str) -> None:
    bench.aws("secretsmanager").create_secret(Name="/db", SecretString="s3cret")
    bench.aws("ssm").put_parameter(Name="/db", Value="s3cret", Type="String")
    store = bench.store(kind)

    assert store.api_version == "provider.external-secrets.io/v2alpha1"
    assert bench.harness.get_secret(store, "/db") == b"s3cret"


def test_a_text_comes_as_text_and_bytes_as_bytes(bench: Bench) -> None:
    client = bench.aws("secretsmanager")
    client.create_secret(Name="text", SecretString="grün")
    client.create_secret(Name="bytes", SecretBinary=bytes(range(256)))
    store = bench.store()

    assert bench.harness.get_secret(store, "text") == "grün".encode()
    assert bench.harness.get_secret(store, "bytes") == bytes(range(256))


@pytest.mark.parametrize(
    ("prop", "value"),
    [("a", b"x"), ("b.c", b"literal"), ("d.e.1", b"8"), ("d", b'{"e": [7, 8]}'), ("n", b""), ("big", b"12345678901234567890")],
)  # fmt: skip
@pytest.mark.parametrize("binary", [False, True], ids=["text", "bytes"])
def test_a_property_is_a_path_into_json(bench: Bench, prop: str, value: bytes, binary: bool) -> None:
    """A key that literally holds the dots wins; objects keep their source text."""
    text = '{"a": "x", "b.c": "literal", "b": {"c": "path"}, "d": {"e": [7, 8]}, "n": null, "big": 12345678901234567890}'
    content = {"SecretBinary": text.encode()} if binary else {"SecretString": text}
    bench.aws("secretsmanager").create_secret(Name="json", **content)

    assert bench.harness.get_secret(bench.store(), "json", property=prop) == value


def test_a_missing_property_is_an_error_and_not_a_missing_secret(bench: Bench) -> None:
    """Under deletionPolicy Delete, a missing secret removes the user's copy."""
    bench.aws("secretsmanager").create_secret(Name="json", SecretString='{"a": 1}')
    with bench.harness.fails() as failure:
        bench.harness.get_secret(bench.store(), "json", property="b")

    assert (failure.code, failure.error.code) == (grpc.StatusCode.FAILED_PRECONDITION, "NO_PROPERTY")
    assert "json" in failure.message
    assert "'b'" in failure.message


def test_a_secret_map_has_texts_and_raw_json(bench: Bench) -> None:
    bench.aws("secretsmanager").create_secret(
        Name="json", SecretString='{"a": "x", "b": {"c": [1]}, "d": null}'
    )

    assert bench.harness.get_secret_map(bench.store(), "json") == {"a": b"x", "b": b'{"c": [1]}', "d": b""}


def test_a_version_is_an_id_or_a_stage(bench: Bench) -> None:
    client = bench.aws("secretsmanager")
    first = client.create_secret(Name="v", SecretString="1")["VersionId"]
    client.put_secret_value(SecretId="v", SecretString="2")
    client.put_secret_value(SecretId="v", SecretString="3", VersionStages=["beta"])
    store = bench.store()

    assert bench.harness.get_secret(store, "v") == b"2"
    assert bench.harness.get_secret(store, "v", version=f"uuid/{first}") == b"1"
    assert bench.harness.get_secret(store, "v", version="AWSPREVIOUS") == b"1"
    assert bench.harness.get_secret(store, "v", version="beta") == b"3"


def test_metadata_are_the_tags(bench: Bench) -> None:
    """Sorted, as JSON; the version plays no part."""
    tags = [{"Key": "team", "Value": "a<b"}, {"Key": "env", "Value": "dev"}]
    bench.aws("secretsmanager").create_secret(Name="t", SecretString="x", Tags=tags)
    store = bench.store()

    whole = bench.harness.get_secret(store, "t", version="nope", metadata_policy="Fetch")
    assert whole == b'{"env":"dev","team":"a\\u003cb"}'
    assert bench.harness.get_secret(store, "t", property="env", metadata_policy="Fetch") == b"dev"


def test_the_prefix_is_put_in_front_as_it_is(bench: Bench) -> None:
    bench.aws("secretsmanager").create_secret(Name="prod/db", SecretString="1")
    bench.aws("ssm").put_parameter(Name="/prod/db", Value="2", Type="String")

    assert bench.harness.get_secret(bench.store(prefix="prod/"), "db") == b"1"
    assert (
        bench.harness.get_secret(bench.store("AWSParameterStore", name="ps", prefix="/prod/"), "db") == b"2"
    )


def test_an_arn_is_a_key(bench: Bench) -> None:
    arn = bench.aws("secretsmanager").create_secret(Name="db", SecretString="1")["ARN"]

    assert bench.harness.get_secret(bench.store(), arn) == b"1"


@pytest.mark.parametrize(
    ("kind", "arn"),
    [
        ("AWSSecretManager", "arn:aws:secretsmanager:us-east-1:123456789012:secret:db-abcdef"),
        ("AWSParameterStore", "arn:aws:ssm:us-east-1:123456789012:parameter/db"),
    ],
)
def test_an_arn_of_another_region_is_refused_and_never_a_missing_secret(
    bench: Bench, kind: str, arn: str
) -> None:
    """AWS asks the store's region only, and answers that there is no such secret; the user's copy would go."""
    store = bench.store(kind)
    for call in (
        lambda: bench.harness.get_secret(store, arn),
        lambda: bench.harness.get_secret(store, arn, metadata_policy="Fetch"),
        lambda: bench.harness.exists(store, arn),
        lambda: bench.harness.push(store, arn, {"p": b"1"}, secret_key="p"),
        lambda: bench.harness.delete(store, arn),
    ):
        with bench.harness.fails() as failure:
            call()
        assert failure.code == grpc.StatusCode.INVALID_ARGUMENT
        assert "'us-east-1'" in failure.message

    assert bench.proxy.requests == []


@pytest.mark.parametrize("region", ["fips-us-east-1", "us-east-1-fips"])
def test_a_fips_region_serves_the_arns_of_its_region(bench: Bench, region: str) -> None:
    """Go takes these names, too."""
    arn = plain_client(bench.moto, "secretsmanager", "us-east-1").create_secret(Name="db", SecretString="1")[
        "ARN"
    ]
    spec = {**bench.spec(), "region": region}
    store = bench.harness.add_store(NAMESPACE, spec, kind="AWSSecretManager")

    assert bench.harness.get_secret(store, arn) == b"1"
    assert "/us-east-1/secretsmanager/" in bench.proxy.requests[-1].headers["authorization"]


@pytest.mark.parametrize("policy", ["None", "Fetch"])
@pytest.mark.parametrize("kind", ["AWSSecretManager", "AWSParameterStore"])
def test_a_missing_secret_is_not_found(bench: Bench, kind: str, policy: str) -> None:
    """Its metadata, too: what has no value has no tags."""
    with bench.harness.fails() as failure:
        bench.harness.get_secret(bench.store(kind), "/no/such", metadata_policy=policy)

    assert (failure.code, failure.error.code) == (grpc.StatusCode.NOT_FOUND, "NO_SECRET")
    assert "/no/such" in failure.message


@pytest.mark.parametrize(
    ("kind", "version"),
    [
        ("AWSSecretManager", "nostage"),
        ("AWSSecretManager", "uuid/00000000-0000-0000-0000-00000000000f"),
        ("AWSParameterStore", "7"),
        ("AWSParameterStore", "nolabel"),
    ],
)
def test_a_missing_version_is_not_found(bench: Bench, kind: str, version: str) -> None:
    bench.aws("secretsmanager").create_secret(Name="/v", SecretString="1")
    bench.aws("ssm").put_parameter(Name="/v", Value="1", Type="String")
    with bench.harness.fails() as failure:
        bench.harness.get_secret(bench.store(kind), "/v", version=version)

    assert failure.code == grpc.StatusCode.NOT_FOUND
    assert version in failure.message


@pytest.mark.parametrize("policy", ["None", "Fetch"])
def test_a_secret_that_is_scheduled_for_deletion_is_not_found(bench: Bench, policy: str) -> None:
    """It can be restored, but whoever deleted it meant it to be gone."""
    client = bench.aws("secretsmanager")
    client.create_secret(Name="gone", SecretString="1")
    client.delete_secret(SecretId="gone", RecoveryWindowInDays=7)
    with bench.harness.fails() as failure:
        bench.harness.get_secret(bench.store(), "gone", metadata_policy=policy)

    assert failure.code == grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("code", ["InvalidRequestException", "InvalidParameterException"])
@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("You can't perform this operation on the secret because it was marked for deletion.", "NOT_FOUND"),
        ("The secret was scheduled for deletion.", "NOT_FOUND"),
        ("Something else is wrong with the request.", "INVALID_ARGUMENT"),
    ],
    ids=["marked", "scheduled", "else"],
)
def test_the_deleted_is_known_by_code_and_text(bench: Bench, code: str, text: str, status: str) -> None:
    """The live service answers one code, its documentation another; both also mean other things."""
    answer = Answer.json(400, {"__type": code, "Message": text})
    bench.proxy.inject(answer, headers=target("GetSecretValue"))
    with bench.harness.fails() as failure:
        bench.harness.get_secret(bench.store(), "gone")

    assert failure.code.name == status


def test_a_parameter_is_read_decrypted_and_by_version(bench: Bench) -> None:
    client = bench.aws("ssm")
    client.put_parameter(Name="/app/db", Value="one", Type="SecureString")
    client.put_parameter(Name="/app/db", Value="two", Type="SecureString", Overwrite=True)
    client.label_parameter_version(Name="/app/db", ParameterVersion=1, Labels=["stable"])
    store = bench.store("AWSParameterStore")

    assert bench.harness.get_secret(store, "/app/db") == b"two"
    assert bench.harness.get_secret(store, "/app/db", version="1") == b"one"
    assert bench.harness.get_secret(store, "/app/db", version="stable") == b"one"


def test_a_parameter_has_properties_and_a_map(bench: Bench) -> None:
    bench.aws("ssm").put_parameter(Name="/json", Value='{"a": {"b": 1.50}, "c": "x"}', Type="String")
    store = bench.store("AWSParameterStore")

    assert bench.harness.get_secret(store, "/json", property="a.b") == b"1.5"
    assert bench.harness.get_secret_map(store, "/json") == {"a": b'{"b": 1.50}', "c": b"x"}


def test_a_parameters_metadata_are_its_tags_whatever_the_version(bench: Bench) -> None:
    """Tags belong to the parameter: AWS knows no resource `name:version`."""
    tags = [{"Key": "env", "Value": "dev"}]
    bench.aws("ssm").put_parameter(Name="/t", Value="x", Type="String", Tags=tags)
    store = bench.store("AWSParameterStore")

    assert bench.harness.get_secret(store, "/t", version="1", metadata_policy="Fetch") == b'{"env":"dev"}'
    assert b'"ResourceId": "/t"' in bench.proxy.requests[-1].body


@pytest.mark.parametrize("kind", ["AWSSecretManager", "AWSParameterStore"])
def test_what_can_not_be_looked_at_is_not_called_absent(bench: Bench, kind: str) -> None:
    """With `updatePolicy: IfNotExists` the core would push over it."""
    bench.proxy.inject(Answer.json(400, {"__type": "AccessDeniedException", "Message": "no"}))
    with bench.harness.fails() as failure:
        bench.harness.exists(bench.store(kind), "/db")

    assert failure.code == grpc.StatusCode.PERMISSION_DENIED
