from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GeneratorRef(_message.Message):
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

class GenerateRequest(_message.Message):
    __slots__ = ("generator_ref", "source_namespace", "generator")
    GENERATOR_REF_FIELD_NUMBER: _ClassVar[int]
    SOURCE_NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    GENERATOR_FIELD_NUMBER: _ClassVar[int]
    generator_ref: GeneratorRef
    source_namespace: str
    generator: GeneratorContext
    def __init__(self, generator_ref: _Optional[_Union[GeneratorRef, _Mapping]] = ..., source_namespace: _Optional[str] = ..., generator: _Optional[_Union[GeneratorContext, _Mapping]] = ...) -> None: ...

class GenerateResponse(_message.Message):
    __slots__ = ("secrets", "state")
    class SecretsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: bytes
        def __init__(self, key: _Optional[str] = ..., value: _Optional[bytes] = ...) -> None: ...
    SECRETS_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    secrets: _containers.ScalarMap[str, bytes]
    state: bytes
    def __init__(self, secrets: _Optional[_Mapping[str, bytes]] = ..., state: _Optional[bytes] = ...) -> None: ...

class CleanupRequest(_message.Message):
    __slots__ = ("generator_ref", "state", "source_namespace", "generator")
    GENERATOR_REF_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    GENERATOR_FIELD_NUMBER: _ClassVar[int]
    generator_ref: GeneratorRef
    state: bytes
    source_namespace: str
    generator: GeneratorContext
    def __init__(self, generator_ref: _Optional[_Union[GeneratorRef, _Mapping]] = ..., state: _Optional[bytes] = ..., source_namespace: _Optional[str] = ..., generator: _Optional[_Union[GeneratorContext, _Mapping]] = ...) -> None: ...

class CleanupResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GeneratorContext(_message.Message):
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
    spec: GeneratorSpec
    def __init__(self, api_version: _Optional[str] = ..., kind: _Optional[str] = ..., name: _Optional[str] = ..., namespace: _Optional[str] = ..., uid: _Optional[str] = ..., generation: _Optional[int] = ..., spec: _Optional[_Union[GeneratorSpec, _Mapping]] = ...) -> None: ...

class GeneratorSpec(_message.Message):
    __slots__ = ("refresh_interval", "controller", "gating_policy", "retry_settings", "provider_config", "authentication_namespace", "conditions")
    REFRESH_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    CONTROLLER_FIELD_NUMBER: _ClassVar[int]
    GATING_POLICY_FIELD_NUMBER: _ClassVar[int]
    RETRY_SETTINGS_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_CONFIG_FIELD_NUMBER: _ClassVar[int]
    AUTHENTICATION_NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    CONDITIONS_FIELD_NUMBER: _ClassVar[int]
    refresh_interval: str
    controller: str
    gating_policy: str
    retry_settings: RetrySettings
    provider_config: ProviderConfig
    authentication_namespace: str
    conditions: _containers.RepeatedCompositeFieldContainer[GeneratorCondition]
    def __init__(self, refresh_interval: _Optional[str] = ..., controller: _Optional[str] = ..., gating_policy: _Optional[str] = ..., retry_settings: _Optional[_Union[RetrySettings, _Mapping]] = ..., provider_config: _Optional[_Union[ProviderConfig, _Mapping]] = ..., authentication_namespace: _Optional[str] = ..., conditions: _Optional[_Iterable[_Union[GeneratorCondition, _Mapping]]] = ...) -> None: ...

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
    provider_ref: GeneratorProviderRef
    def __init__(self, address: _Optional[str] = ..., auth: _Optional[_Union[ProviderAuth, _Mapping]] = ..., provider_ref: _Optional[_Union[GeneratorProviderRef, _Mapping]] = ...) -> None: ...

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

class GeneratorProviderRef(_message.Message):
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

class GeneratorCondition(_message.Message):
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
