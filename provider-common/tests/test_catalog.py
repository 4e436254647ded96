"""Which kinds are served under which names, and what is said of others."""

from typing import Any, ClassVar, Self

import pytest
from provider_common import (
    Alias,
    Context,
    Find,
    Generated,
    GeneratorV2,
    InvalidRequestError,
    ProviderV2,
    PushData,
    RemoteRef,
    Spec,
)
from provider_common.catalog import Catalog
from provider_common.kube import ServedType

STORES = "provider.secretstore.external-secrets.io/v2alpha1"
GENERATORS = "provider.generator.external-secrets.io/v2alpha1"


class KeySpec(Spec):
    """Known by two names."""

    kind: ClassVar = "Key"
    aliases: ClassVar = (Alias("old.io/v1", "OldKey", plural="oldies"), Alias("old.io/v2", "Key"))


class Store(ProviderV2[KeySpec]):
    """Does nothing."""

    @classmethod
    def open(cls, ctx: Context[KeySpec]) -> Self:
        return cls()


class Reader(Store):
    """Reads."""

    def get_secret(self, ref: RemoteRef) -> bytes:
        return b""


class Finder(Store):
    """Finds only."""

    def get_all_secrets(self, find: Find) -> dict[str, bytes]:
        return {}


class Writer(Store):
    """Writes."""

    def push_secret(self, data: PushData) -> None:
        """Into nothing."""


class Both(Reader, Writer):
    """Reads and writes."""


class Maker(GeneratorV2[KeySpec]):
    """Makes values."""

    def generate(self, ctx: Context[KeySpec]) -> Generated:
        return Generated({})


class Cleaner(Maker):
    """And removes them."""

    def cleanup(self, ctx: Context[KeySpec], state: Any) -> None:
        """Nothing to do."""


@pytest.mark.parametrize(
    ("cls", "capabilities", "methods"),
    [
        (Store, "ReadOnly", ()),
        (Reader, "ReadOnly", ("GetSecret", "GetSecretMap")),
        (Finder, "ReadOnly", ("GetAllSecrets",)),
        (Writer, "WriteOnly", ("PushSecret",)),
        (Both, "ReadWrite", ("GetSecret", "GetSecretMap", "PushSecret")),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else None,
)
def test_capabilities_are_what_is_implemented(cls, capabilities, methods) -> None:
    kind = Catalog(cls).store(STORES, "Key")

    assert (kind.capabilities, kind.methods) == (capabilities, (*methods, "Validate", "Capabilities"))


def test_a_generator_has_no_capabilities_and_cleans_up_what_it_says_it_does() -> None:
    assert Catalog(Maker).generator(GENERATORS, "Key").methods == ("Generate",)
    assert Catalog(Cleaner).generator(GENERATORS, "Key").methods == ("Generate", "Cleanup")
    assert Catalog(Maker).generator(GENERATORS, "Key").capabilities == ""


def test_every_alias_is_served_and_need_not_be_installed() -> None:
    """Only our own CRD has to be there."""
    catalog = Catalog(Reader)

    assert catalog.types() == (
        ServedType(STORES, "Key", "keys"),
        ServedType("old.io/v1", "OldKey", "oldies", optional=True),
        ServedType("old.io/v2", "Key", "keys", optional=True),
    )
    assert catalog.store("old.io/v1", "OldKey").alias_of == f"{STORES}/Key"
    assert (catalog.has_stores, catalog.has_generators) == (True, False)


def test_a_store_and_a_generator_may_have_the_same_kind() -> None:
    """Their default groups differ, and they are looked up apart."""
    catalog = Catalog(Reader, Maker)

    assert [kind.role for kind in catalog] == ["store"] * 3 + ["generator"] * 3


@pytest.mark.parametrize("api_version", ["", "v1", "/", "a/", "/v1", "a/b/c"])
def test_what_is_no_group_and_version_is_told_so(api_version: str) -> None:
    with pytest.raises(InvalidRequestError, match="has to be GROUP/VERSION"):
        Catalog(Reader).store(api_version, "Key")


def test_a_kind_that_is_not_served_is_named_with_those_that_are() -> None:
    with pytest.raises(
        InvalidRequestError, match=rf"serves no store a/v1/Nope; it serves: .*old\.io/v1/OldKey.*{STORES}/Key"
    ):
        Catalog(Reader).store("a/v1", "Nope")
    with pytest.raises(InvalidRequestError, match="it serves: none"):
        Catalog(Reader).generator(GENERATORS, "Key")


def test_a_name_given_twice_is_refused_at_start() -> None:
    with pytest.raises(ValueError, match="is served by Reader and by Writer"):
        Catalog(Reader, Writer)


@pytest.mark.parametrize(
    "thing", [object, KeySpec, "Reader", Reader.__new__], ids=["object", "spec", "text", "function"]
)
def test_what_is_no_kind_is_refused_at_start(thing: Any) -> None:
    with pytest.raises(TypeError, match=r"is neither|is not a class"):
        Catalog(thing)


def test_a_kind_made_for_tests_is_known_as_such() -> None:
    class Faulty(Reader):
        """Has the seam."""

        def fault(self, method: str, key: str) -> None:
            """No fault today."""

    assert Catalog(Faulty).store(STORES, "Key").faulty
    assert not Catalog(Reader).store(STORES, "Key").faulty
