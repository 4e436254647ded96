"""The compiled descriptors against a table written by hand: a renumbered or retyped field can't slip in."""

import pytest
from google.protobuf.descriptor import FieldDescriptor
from provider_proto import (
    CONTRACT_VERSION,
    DESCRIPTION_SERVICE,
    GENERATOR_METHODS,
    GENERATOR_SERVICE,
    SECRET_STORE_METHODS,
    SECRET_STORE_SERVICE,
)
from provider_proto.generator.v1 import generator_pb2
from provider_proto.provider.v1 import description_pb2, secretstore_pb2

TYPES = {
    FieldDescriptor.TYPE_STRING: "string",
    FieldDescriptor.TYPE_BYTES: "bytes",
    FieldDescriptor.TYPE_BOOL: "bool",
    FieldDescriptor.TYPE_INT32: "int32",
    FieldDescriptor.TYPE_INT64: "int64",
    FieldDescriptor.TYPE_ENUM: "enum",
    FieldDescriptor.TYPE_MESSAGE: "message",
}

# The baseline: what every Go peer speaks. `name number type`, map types written out, `[]` for repeated.
BASELINE = {
    "provider.v1.ProviderReference": "api_version 1 string, kind 2 string, name 3 string, namespace 4 string,"
    " store_ref_kind 5 string",
    "provider.v1.ExternalSecretDataRemoteRef": "key 1 string, version 2 string, property 3 string,"
    " decoding_strategy 4 string, metadata_policy 5 string",
    "provider.v1.ExternalSecretFind": "path 1 string, name 2 provider.v1.FindName, tags 3 map<string,string>,"
    " conversion_strategy 4 string, decoding_strategy 5 string",
    "provider.v1.FindName": "regexp 1 string",
    "provider.v1.PushSecretRemoteRef": "remote_key 1 string, property 2 string",
    "provider.v1.PushSecretData": "metadata 1 bytes, secret_key 2 string, remote_key 3 string, property 4 string",
    "provider.v1.GetSecretRequest": "remote_ref 1 provider.v1.ExternalSecretDataRemoteRef,"
    " provider_ref 2 provider.v1.ProviderReference, source_namespace 3 string",
    "provider.v1.GetSecretResponse": "value 1 bytes",
    "provider.v1.GetSecretMapRequest": "remote_ref 1 provider.v1.ExternalSecretDataRemoteRef,"
    " provider_ref 2 provider.v1.ProviderReference, source_namespace 3 string",
    "provider.v1.GetSecretMapResponse": "secrets 1 map<string,bytes>",
    "provider.v1.GetAllSecretsRequest": "provider_ref 1 provider.v1.ProviderReference,"
    " find 2 provider.v1.ExternalSecretFind, source_namespace 3 string",
    "provider.v1.GetAllSecretsResponse": "secrets 1 map<string,bytes>",
    "provider.v1.PushSecretRequest": "provider_ref 1 provider.v1.ProviderReference, secret_data 2 map<string,bytes>,"
    " push_secret_data 3 provider.v1.PushSecretData, source_namespace 4 string, secret_type 5 string,"
    " secret_labels 6 map<string,string>, secret_annotations 7 map<string,string>",
    "provider.v1.PushSecretResponse": "",
    "provider.v1.DeleteSecretRequest": "provider_ref 1 provider.v1.ProviderReference,"
    " remote_ref 2 provider.v1.PushSecretRemoteRef, source_namespace 3 string",
    "provider.v1.DeleteSecretResponse": "",
    "provider.v1.SecretExistsRequest": "provider_ref 1 provider.v1.ProviderReference,"
    " remote_ref 2 provider.v1.PushSecretRemoteRef, source_namespace 3 string",
    "provider.v1.SecretExistsResponse": "exists 1 bool",
    "provider.v1.ValidateRequest": "provider_ref 1 provider.v1.ProviderReference, source_namespace 2 string",
    "provider.v1.ValidateResponse": "valid 1 bool, error 2 string, warnings 3 []string",
    "provider.v1.CapabilitiesRequest": "provider_ref 1 provider.v1.ProviderReference, source_namespace 2 string",
    "provider.v1.CapabilitiesResponse": "capabilities 1 provider.v1.SecretStoreCapabilities",
    "provider.v1.Error": "code 1 string, message 2 string, retryable 3 bool, details 4 map<string,string>",
    "generator.v1.GeneratorRef": "api_version 1 string, kind 2 string, name 3 string, namespace 4 string",
    "generator.v1.GenerateRequest": "generator_ref 1 generator.v1.GeneratorRef, source_namespace 2 string",
    "generator.v1.GenerateResponse": "secrets 1 map<string,bytes>, state 2 bytes",
    "generator.v1.CleanupRequest": "generator_ref 1 generator.v1.GeneratorRef, state 2 bytes, source_namespace 3 string",
    "generator.v1.CleanupResponse": "",
}

# What this contract adds, where Go peers don't look: numbers from 100 up.
EXTENSIONS = {
    **{
        f"provider.v1.{method}Request": "store 100 provider.v1.StoreContext"
        for method in (
            "GetSecret", "GetSecretMap", "GetAllSecrets", "PushSecret", "DeleteSecret", "SecretExists", "Validate",
            "Capabilities",
        )
    },
    "generator.v1.GenerateRequest": "generator 100 generator.v1.GeneratorContext",
    "generator.v1.CleanupRequest": "generator 100 generator.v1.GeneratorContext",
    "provider.v1.Error": "retry_delay 100 google.protobuf.Duration",
}  # fmt: skip


def messages():
    for module in (secretstore_pb2, generator_pb2):
        for message in module.DESCRIPTOR.message_types_by_name.values():
            yield message.full_name, message


def text(field: FieldDescriptor) -> str:
    entry = field.message_type
    if entry is not None and entry.GetOptions().map_entry:
        kind = ",".join(TYPES[entry.fields_by_name[part].type] for part in ("key", "value"))
        return f"{field.name} {field.number} map<{kind}>"
    named = field.message_type or field.enum_type
    name = named.full_name if named is not None else TYPES[field.type]
    return f"{field.name} {field.number} {'[]' if field.is_repeated else ''}{name}"


def fields(message, numbers) -> str:
    return ", ".join(text(f) for f in sorted(message.fields, key=lambda f: f.number) if f.number in numbers)


@pytest.mark.parametrize("name", BASELINE)
def test_the_baseline_of_a_message_is_as_the_go_peers_know_it(name: str) -> None:
    assert fields(dict(messages())[name], range(100)) == BASELINE[name]


def test_every_message_is_in_the_table_or_is_an_extension_whole() -> None:
    """A new message is reached through a field from 100 up only, so that no Go peer ever meets it."""
    known = dict(messages())
    reached = {
        field.message_type.full_name
        for name in BASELINE
        for field in known[name].fields
        if field.number < 100
        and field.message_type is not None
        and not field.message_type.GetOptions().map_entry
    }
    assert set(BASELINE) <= set(known)
    assert reached <= set(BASELINE)


def test_the_extensions_are_the_ones_that_are_documented() -> None:
    found = {name: fields(message, range(100, 1 << 20)) for name, message in messages()}
    assert {name: text for name, text in found.items() if text} == EXTENSIONS


def test_the_capabilities_have_the_numbers_of_the_go_peers() -> None:
    values = secretstore_pb2.SecretStoreCapabilities.items()
    assert dict(values) == {"READ_ONLY": 0, "WRITE_ONLY": 1, "READ_WRITE": 2}


@pytest.mark.parametrize(
    ("module", "service", "methods"),
    [
        (secretstore_pb2, SECRET_STORE_SERVICE, SECRET_STORE_METHODS),
        (generator_pb2, GENERATOR_SERVICE, GENERATOR_METHODS),
        (description_pb2, DESCRIPTION_SERVICE, ("Describe",)),
    ],
)
def test_the_services_have_their_methods_and_are_unary(module, service, methods) -> None:
    found = module.DESCRIPTOR.services_by_name[service.rsplit(".", 1)[1]]
    assert found.full_name == service
    assert [method.name for method in found.methods] == list(methods)
    for method in found.methods:
        assert (method.input_type.name, method.output_type.name) == (
            f"{method.name}Request",
            f"{method.name}Response",
        )
        assert (method.client_streaming, method.server_streaming) == (False, False)


def test_unknown_fields_of_a_newer_peer_are_ignored() -> None:
    newer = secretstore_pb2.ValidateRequest(source_namespace="a").SerializeToString() + b"\xca\x3f\x01x"
    assert secretstore_pb2.ValidateRequest.FromString(newer).source_namespace == "a"


def test_the_contract_version_is_a_minor_of_one() -> None:
    assert CONTRACT_VERSION[0] == 1
