from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class KindRole(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    KIND_ROLE_UNSPECIFIED: _ClassVar[KindRole]
    KIND_ROLE_STORE: _ClassVar[KindRole]
    KIND_ROLE_GENERATOR: _ClassVar[KindRole]
KIND_ROLE_UNSPECIFIED: KindRole
KIND_ROLE_STORE: KindRole
KIND_ROLE_GENERATOR: KindRole

class DescribeRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class DescribeResponse(_message.Message):
    __slots__ = ("name", "version", "contract_versions", "kinds")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CONTRACT_VERSIONS_FIELD_NUMBER: _ClassVar[int]
    KINDS_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    contract_versions: _containers.RepeatedScalarFieldContainer[str]
    kinds: _containers.RepeatedCompositeFieldContainer[ServedKind]
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., contract_versions: _Optional[_Iterable[str]] = ..., kinds: _Optional[_Iterable[_Union[ServedKind, _Mapping]]] = ...) -> None: ...

class ServedKind(_message.Message):
    __slots__ = ("role", "api_version", "kind", "capabilities", "alias_of", "methods")
    ROLE_FIELD_NUMBER: _ClassVar[int]
    API_VERSION_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    ALIAS_OF_FIELD_NUMBER: _ClassVar[int]
    METHODS_FIELD_NUMBER: _ClassVar[int]
    role: KindRole
    api_version: str
    kind: str
    capabilities: str
    alias_of: str
    methods: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, role: _Optional[_Union[KindRole, str]] = ..., api_version: _Optional[str] = ..., kind: _Optional[str] = ..., capabilities: _Optional[str] = ..., alias_of: _Optional[str] = ..., methods: _Optional[_Iterable[str]] = ...) -> None: ...
