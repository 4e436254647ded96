import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SecretStoreCapabilities(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    READ_ONLY: _ClassVar[SecretStoreCapabilities]
    WRITE_ONLY: _ClassVar[SecretStoreCapabilities]
    READ_WRITE: _ClassVar[SecretStoreCapabilities]
READ_ONLY: SecretStoreCapabilities
WRITE_ONLY: SecretStoreCapabilities
READ_WRITE: SecretStoreCapabilities

class ProviderReference(_message.Message):
    __slots__ = ("api_version", "kind", "name", "namespace", "store_ref_kind")
    API_VERSION_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    STORE_REF_KIND_FIELD_NUMBER: _ClassVar[int]
    api_version: str
    kind: str
    name: str
    namespace: str
    store_ref_kind: str
    def __init__(self, api_version: _Optional[str] = ..., kind: _Optional[str] = ..., name: _Optional[str] = ..., namespace: _Optional[str] = ..., store_ref_kind: _Optional[str] = ...) -> None: ...

class ExternalSecretDataRemoteRef(_message.Message):
    __slots__ = ("key", "version", "property", "decoding_strategy", "metadata_policy")
    KEY_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PROPERTY_FIELD_NUMBER: _ClassVar[int]
    DECODING_STRATEGY_FIELD_NUMBER: _ClassVar[int]
    METADATA_POLICY_FIELD_NUMBER: _ClassVar[int]
    key: str
    version: str
    property: str
    decoding_strategy: str
    metadata_policy: str
    def __init__(self, key: _Optional[str] = ..., version: _Optional[str] = ..., property: _Optional[str] = ..., decoding_strategy: _Optional[str] = ..., metadata_policy: _Optional[str] = ...) -> None: ...

class GetSecretRequest(_message.Message):
    __slots__ = ("remote_ref", "provider_ref", "source_namespace", "store")
    REMOTE_REF_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_REF_FIELD_NUMBER: _ClassVar[int]
    SOURCE_NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    STORE_FIELD_NUMBER: _ClassVar[int]
    remote_ref: ExternalSecretDataRemoteRef
    provider_ref: ProviderReference
    source_namespace: str
    store: StoreContext
    def __init__(self, remote_ref: _Optional[_Union[ExternalSecretDataRemoteRef, _Mapping]] = ..., provider_ref: _Optional[_Union[ProviderReference, _Mapping]] = ..., source_namespace: _Optional[str] = ..., store: _Optional[_Union[StoreContext, _Mapping]] = ...) -> None: ...

class GetSecretResponse(_message.Message):
    __slots__ = ("value",)
    VALUE_FIELD_NUMBER: _ClassVar[int]
    value: bytes
    def __init__(self, value: _Optional[bytes] = ...) -> None: ...

class GetSecretMapRequest(_message.Message):
    __slots__ = ("remote_ref", "provider_ref", "source_namespace", "store")
    REMOTE_REF_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_REF_FIELD_NUMBER: _ClassVar[int]
    SOURCE_NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    STORE_FIELD_NUMBER: _ClassVar[int]
    remote_ref: ExternalSecretDataRemoteRef
    provider_ref: ProviderReference
    source_namespace: str
    store: StoreContext
    def __init__(self, remote_ref: _Optional[_Union[ExternalSecretDataRemoteRef, _Mapping]] = ..., provider_ref: _Optional[_Union[ProviderReference, _Mapping]] = ..., source_namespace: _Optional[str] = ..., store: _Optional[_Union[StoreContext, _Mapping]] = ...) -> None: ...

class GetSecretMapResponse(_message.Message):
    __slots__ = ("secrets",)
    class SecretsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: bytes
        def __init__(self, key: _Optional[str] = ..., value: _Optional[bytes] = ...) -> None: ...
    SECRETS_FIELD_NUMBER: _ClassVar[int]
    secrets: _containers.ScalarMap[str, bytes]
    def __init__(self, secrets: _Optional[_Mapping[str, bytes]] = ...) -> None: ...

class FindName(_message.Message):
    __slots__ = ("regexp",)
    REGEXP_FIELD_NUMBER: _ClassVar[int]
    regexp: str
    def __init__(self, regexp: _Optional[str] = ...) -> None: ...

class ExternalSecretFind(_message.Message):
    __slots__ = ("path", "name", "tags", "conversion_strategy", "decoding_strategy")
    class TagsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    PATH_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    CONVERSION_STRATEGY_FIELD_NUMBER: _ClassVar[int]
    DECODING_STRATEGY_FIELD_NUMBER: _ClassVar[int]
    path: str
    name: FindName
    tags: _containers.ScalarMap[str, str]
    conversion_strategy: str
    decoding_strategy: str
    def __init__(self, path: _Optional[str] = ..., name: _Optional[_Union[FindName, _Mapping]] = ..., tags: _Optional[_Mapping[str, str]] = ..., conversion_strategy: _Optional[str] = ..., decoding_strategy: _Optional[str] = ...) -> None: ...

class GetAllSecretsRequest(_message.Message):
    __slots__ = ("provider_ref", "find", "source_namespace", "store")
    PROVIDER_REF_FIELD_NUMBER: _ClassVar[int]
    FIND_FIELD_NUMBER: _ClassVar[int]
    SOURCE_NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    STORE_FIELD_NUMBER: _ClassVar[int]
    provider_ref: ProviderReference
    find: ExternalSecretFind
    source_namespace: str
    store: StoreContext
    def __init__(self, provider_ref: _Optional[_Union[ProviderReference, _Mapping]] = ..., find: _Optional[_Union[ExternalSecretFind, _Mapping]] = ..., source_namespace: _Optional[str] = ..., store: _Optional[_Union[StoreContext, _Mapping]] = ...) -> None: ...

class GetAllSecretsResponse(_message.Message):
    __slots__ = ("secrets",)
    class SecretsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: bytes
        def __init__(self, key: _Optional[str] = ..., value: _Optional[bytes] = ...) -> None: ...
    SECRETS_FIELD_NUMBER: _ClassVar[int]
    secrets: _containers.ScalarMap[str, bytes]
    def __init__(self, secrets: _Optional[_Mapping[str, bytes]] = ...) -> None: ...

class PushSecretData(_message.Message):
    __slots__ = ("metadata", "secret_key", "remote_key", "property")
    METADATA_FIELD_NUMBER: _ClassVar[int]
    SECRET_KEY_FIELD_NUMBER: _ClassVar[int]
    REMOTE_KEY_FIELD_NUMBER: _ClassVar[int]
    PROPERTY_FIELD_NUMBER: _ClassVar[int]
    metadata: bytes
    secret_key: str
    remote_key: str
    property: str
    def __init__(self, metadata: _Optional[bytes] = ..., secret_key: _Optional[str] = ..., remote_key: _Optional[str] = ..., property: _Optional[str] = ...) -> None: ...

class PushSecretRequest(_message.Message):
    __slots__ = ("provider_ref", "secret_data", "push_secret_data", "source_namespace", "secret_type", "secret_labels", "secret_annotations", "store")
    class SecretDataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: bytes
        def __init__(self, key: _Optional[str] = ..., value: _Optional[bytes] = ...) -> None: ...
    class SecretLabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class SecretAnnotationsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    PROVIDER_REF_FIELD_NUMBER: _ClassVar[int]
    SECRET_DATA_FIELD_NUMBER: _ClassVar[int]
    PUSH_SECRET_DATA_FIELD_NUMBER: _ClassVar[int]
    SOURCE_NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    SECRET_TYPE_FIELD_NUMBER: _ClassVar[int]
    SECRET_LABELS_FIELD_NUMBER: _ClassVar[int]
    SECRET_ANNOTATIONS_FIELD_NUMBER: _ClassVar[int]
    STORE_FIELD_NUMBER: _ClassVar[int]
    provider_ref: ProviderReference
    secret_data: _containers.ScalarMap[str, bytes]
    push_secret_data: PushSecretData
    source_namespace: str
    secret_type: str
    secret_labels: _containers.ScalarMap[str, str]
    secret_annotations: _containers.ScalarMap[str, str]
    store: StoreContext
    def __init__(self, provider_ref: _Optional[_Union[ProviderReference, _Mapping]] = ..., secret_data: _Optional[_Mapping[str, bytes]] = ..., push_secret_data: _Optional[_Union[PushSecretData, _Mapping]] = ..., source_namespace: _Optional[str] = ..., secret_type: _Optional[str] = ..., secret_labels: _Optional[_Mapping[str, str]] = ..., secret_annotations: _Optional[_Mapping[str, str]] = ..., store: _Optional[_Union[StoreContext, _Mapping]] = ...) -> None: ...

class PushSecretResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class PushSecretRemoteRef(_message.Message):
    __slots__ = ("remote_key", "property")
    REMOTE_KEY_FIELD_NUMBER: _ClassVar[int]
    PROPERTY_FIELD_NUMBER: _ClassVar[int]
    remote_key: str
    property: str
    def __init__(self, remote_key: _Optional[str] = ..., property: _Optional[str] = ...) -> None: ...

class DeleteSecretRequest(_message.Message):
    __slots__ = ("provider_ref", "remote_ref", "source_namespace", "store")
    PROVIDER_REF_FIELD_NUMBER: _ClassVar[int]
    REMOTE_REF_FIELD_NUMBER: _ClassVar[int]
    SOURCE_NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    STORE_FIELD_NUMBER: _ClassVar[int]
    provider_ref: ProviderReference
    remote_ref: PushSecretRemoteRef
    source_namespace: str
    store: StoreContext
    def __init__(self, provider_ref: _Optional[_Union[ProviderReference, _Mapping]] = ..., remote_ref: _Optional[_Union[PushSecretRemoteRef, _Mapping]] = ..., source_namespace: _Optional[str] = ..., store: _Optional[_Union[StoreContext, _Mapping]] = ...) -> None: ...

class DeleteSecretResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class SecretExistsRequest(_message.Message):
    __slots__ = ("provider_ref", "remote_ref", "source_namespace", "store")
    PROVIDER_REF_FIELD_NUMBER: _ClassVar[int]
    REMOTE_REF_FIELD_NUMBER: _ClassVar[int]
    SOURCE_NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    STORE_FIELD_NUMBER: _ClassVar[int]
    provider_ref: ProviderReference
    remote_ref: PushSecretRemoteRef
    source_namespace: str
    store: StoreContext
    def __init__(self, provider_ref: _Optional[_Union[ProviderReference, _Mapping]] = ..., remote_ref: _Optional[_Union[PushSecretRemoteRef, _Mapping]] = ..., source_namespace: _Optional[str] = ..., store: _Optional[_Union[StoreContext, _Mapping]] = ...) -> None: ...

class SecretExistsResponse(_message.Message):
    __slots__ = ("exists",)
    EXISTS_FIELD_NUMBER: _ClassVar[int]
    exists: bool
    def __init__(self, exists: _Optional[bool] = ...) -> None: ...

class ValidateRequest(_message.Message):
    __slots__ = ("provider_ref", "source_namespace", "store")
    PROVIDER_REF_FIELD_NUMBER: _ClassVar[int]
    SOURCE_NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    STORE_FIELD_NUMBER: _ClassVar[int]
    provider_ref: ProviderReference
    source_namespace: str
    store: StoreContext
    def __init__(self, provider_ref: _Optional[_Union[ProviderReference, _Mapping]] = ..., source_namespace: _Optional[str] = ..., store: _Optional[_Union[StoreContext, _Mapping]] = ...) -> None: ...

class ValidateResponse(_message.Message):
    __slots__ = ("valid", "error", "warnings")
    VALID_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    valid: bool
    error: str
    warnings: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, valid: _Optional[bool] = ..., error: _Optional[str] = ..., warnings: _Optional[_Iterable[str]] = ...) -> None: ...

class CapabilitiesRequest(_message.Message):
    __slots__ = ("provider_ref", "source_namespace", "store")
    PROVIDER_REF_FIELD_NUMBER: _ClassVar[int]
    SOURCE_NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    STORE_FIELD_NUMBER: _ClassVar[int]
    provider_ref: ProviderReference
    source_namespace: str
    store: StoreContext
    def __init__(self, provider_ref: _Optional[_Union[ProviderReference, _Mapping]] = ..., source_namespace: _Optional[str] = ..., store: _Optional[_Union[StoreContext, _Mapping]] = ...) -> None: ...

class CapabilitiesResponse(_message.Message):
    __slots__ = ("capabilities",)
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    capabilities: SecretStoreCapabilities
    def __init__(self, capabilities: _Optional[_Union[SecretStoreCapabilities, str]] = ...) -> None: ...

class Error(_message.Message):
    __slots__ = ("code", "message", "retryable", "details", "retry_delay")
    class DetailsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    RETRYABLE_FIELD_NUMBER: _ClassVar[int]
    DETAILS_FIELD_NUMBER: _ClassVar[int]
    RETRY_DELAY_FIELD_NUMBER: _ClassVar[int]
    code: str
    message: str
    retryable: bool
    details: _containers.ScalarMap[str, str]
    retry_delay: _duration_pb2.Duration
    def __init__(self, code: _Optional[str] = ..., message: _Optional[str] = ..., retryable: _Optional[bool] = ..., details: _Optional[_Mapping[str, str]] = ..., retry_delay: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class StoreContext(_message.Message):
    __slots__ = ("api_version", "kind", "name", "namespace", "uid", "generation", "spec")
    API_VERSION_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    UID_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    api_version: str
    kind: str
    name: str
    namespace: str
    uid: str
    generation: int
    spec: SecretStoreSpec
    def __init__(self, api_version: _Optional[str] = ..., kind: _Optional[str] = ..., name: _Optional[str] = ..., namespace: _Optional[str] = ..., uid: _Optional[str] = ..., generation: _Optional[int] = ..., spec: _Optional[_Union[SecretStoreSpec, _Mapping]] = ...) -> None: ...

class SecretStoreSpec(_message.Message):
    __slots__ = ("refresh_interval", "controller", "gating_policy", "retry_settings", "provider_config", "authentication_scope", "conditions")
    REFRESH_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    CONTROLLER_FIELD_NUMBER: _ClassVar[int]
    GATING_POLICY_FIELD_NUMBER: _ClassVar[int]
    RETRY_SETTINGS_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_CONFIG_FIELD_NUMBER: _ClassVar[int]
    AUTHENTICATION_SCOPE_FIELD_NUMBER: _ClassVar[int]
    CONDITIONS_FIELD_NUMBER: _ClassVar[int]
    refresh_interval: str
    controller: str
    gating_policy: str
    retry_settings: RetrySettings
    provider_config: ProviderConfig
    authentication_scope: str
    conditions: _containers.RepeatedCompositeFieldContainer[StoreCondition]
    def __init__(self, refresh_interval: _Optional[str] = ..., controller: _Optional[str] = ..., gating_policy: _Optional[str] = ..., retry_settings: _Optional[_Union[RetrySettings, _Mapping]] = ..., provider_config: _Optional[_Union[ProviderConfig, _Mapping]] = ..., authentication_scope: _Optional[str] = ..., conditions: _Optional[_Iterable[_Union[StoreCondition, _Mapping]]] = ...) -> None: ...

class RetrySettings(_message.Message):
    __slots__ = ("max_retries", "retry_interval")
    MAX_RETRIES_FIELD_NUMBER: _ClassVar[int]
    RETRY_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    max_retries: int
    retry_interval: str
    def __init__(self, max_retries: _Optional[int] = ..., retry_interval: _Optional[str] = ...) -> None: ...

class ProviderConfig(_message.Message):
    __slots__ = ("address", "auth", "provider_ref")
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    AUTH_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_REF_FIELD_NUMBER: _ClassVar[int]
    address: str
    auth: ProviderAuth
    provider_ref: StoreProviderRef
    def __init__(self, address: _Optional[str] = ..., auth: _Optional[_Union[ProviderAuth, _Mapping]] = ..., provider_ref: _Optional[_Union[StoreProviderRef, _Mapping]] = ...) -> None: ...

class ProviderAuth(_message.Message):
    __slots__ = ("client_certificate", "service_account_ref")
    CLIENT_CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    SERVICE_ACCOUNT_REF_FIELD_NUMBER: _ClassVar[int]
    client_certificate: ClientCertificate
    service_account_ref: ServiceAccountRef
    def __init__(self, client_certificate: _Optional[_Union[ClientCertificate, _Mapping]] = ..., service_account_ref: _Optional[_Union[ServiceAccountRef, _Mapping]] = ...) -> None: ...

class ClientCertificate(_message.Message):
    __slots__ = ("name", "namespace")
    NAME_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    name: str
    namespace: str
    def __init__(self, name: _Optional[str] = ..., namespace: _Optional[str] = ...) -> None: ...

class ServiceAccountRef(_message.Message):
    __slots__ = ("name", "namespace", "audiences")
    NAME_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    AUDIENCES_FIELD_NUMBER: _ClassVar[int]
    name: str
    namespace: str
    audiences: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., namespace: _Optional[str] = ..., audiences: _Optional[_Iterable[str]] = ...) -> None: ...

class StoreProviderRef(_message.Message):
    __slots__ = ("api_version", "kind", "name", "namespace")
    API_VERSION_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    api_version: str
    kind: str
    name: str
    namespace: str
    def __init__(self, api_version: _Optional[str] = ..., kind: _Optional[str] = ..., name: _Optional[str] = ..., namespace: _Optional[str] = ...) -> None: ...

class StoreCondition(_message.Message):
    __slots__ = ("namespace_selector", "namespaces", "namespace_regexes")
    NAMESPACE_SELECTOR_FIELD_NUMBER: _ClassVar[int]
    NAMESPACES_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_REGEXES_FIELD_NUMBER: _ClassVar[int]
    namespace_selector: LabelSelector
    namespaces: _containers.RepeatedScalarFieldContainer[str]
    namespace_regexes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, namespace_selector: _Optional[_Union[LabelSelector, _Mapping]] = ..., namespaces: _Optional[_Iterable[str]] = ..., namespace_regexes: _Optional[_Iterable[str]] = ...) -> None: ...

class LabelSelector(_message.Message):
    __slots__ = ("match_labels", "match_expressions")
    class MatchLabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    MATCH_LABELS_FIELD_NUMBER: _ClassVar[int]
    MATCH_EXPRESSIONS_FIELD_NUMBER: _ClassVar[int]
    match_labels: _containers.ScalarMap[str, str]
    match_expressions: _containers.RepeatedCompositeFieldContainer[LabelSelectorRequirement]
    def __init__(self, match_labels: _Optional[_Mapping[str, str]] = ..., match_expressions: _Optional[_Iterable[_Union[LabelSelectorRequirement, _Mapping]]] = ...) -> None: ...

class LabelSelectorRequirement(_message.Message):
    __slots__ = ("key", "operator", "values")
    KEY_FIELD_NUMBER: _ClassVar[int]
    OPERATOR_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    key: str
    operator: str
    values: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, key: _Optional[str] = ..., operator: _Optional[str] = ..., values: _Optional[_Iterable[str]] = ...) -> None: ...
