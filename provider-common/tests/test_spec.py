"""Spec models: what they accept, what they say, and which selectors are found in them."""

import datetime as dt
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, TypeVar

import pytest
from provider_common import Block, CAProvider, Field, InvalidSpecError, OneOf, SecretKeySelector, Spec
from provider_common.provider import ProviderV2
from provider_common.spec import Selector, ServiceAccountSelector, plural_of, selectors, spec_type


class Token(Block):
    """One way in."""

    secret_ref: SecretKeySelector


class Robot(Block):
    """Another way in."""

    service_account_ref: ServiceAccountSelector


class Auth(OneOf):
    """Exactly one way, and a mount that all of them share."""

    shared: ClassVar = frozenset({"mount"})
    token: Token | None = None
    robot: Robot | None = Field(None, alias="kubernetesRobot")
    mount: str = "default"


class MaybeAuth(OneOf):
    """One way or none."""

    required: ClassVar = False
    token: Token | None = None
    robot: Robot | None = None


class FullSpec(Spec):
    """Everything."""

    kind: ClassVar = "Full"
    auth: Auth | None = None
    maybe: MaybeAuth | None = None
    server_url: str = ""
    retries: int = Field(0, ge=0, le=5)
    mode: Literal["fast", "slow"] = "fast"
    since: dt.date | None = None
    tokens: tuple[Token, ...] = ()
    by_name: Mapping[str, SecretKeySelector] = Field(default_factory=dict)
    nested: Mapping[str, tuple[Token, ...]] = Field(default_factory=dict)
    ca: CAProvider | None = None


class SpecialSpec(FullSpec):
    """Everything, and more."""

    kind: ClassVar = "Special"


AnySpec = TypeVar("AnySpec", bound=FullSpec)

SECRET = {"name": "creds", "key": "value"}
TOKEN = {"secretRef": SECRET}
ROBOT = {"serviceAccountRef": {"name": "robot"}}


def parse(**spec: Any) -> FullSpec:
    return FullSpec.parse(spec, where="Full team-a/main")


def test_fields_are_camel_case_in_a_manifest_and_snake_case_here() -> None:
    assert parse(serverUrl="x").server_url == parse(server_url="x").server_url == "x"


def test_a_date_may_be_written_as_text() -> None:
    """As it is in a manifest, though everything else is strict."""
    assert parse(since="2026-01-02").since == dt.date(2026, 1, 2)


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({"serverURL": "x"}, "spec.serverURL: is not a field of this kind: remove it or correct its spelling"),
        ({"retries": "3"}, "spec.retries: input should be a valid integer"),
        ({"retries": True}, "spec.retries: input should be a valid integer"),
        ({"retries": 6}, "spec.retries: input should be less than or equal to 5"),
        ({"mode": "c4nary"}, "spec.mode: input should be 'fast' or 'slow'"),
        ({"auth": {"token": {}}}, "spec.auth.token.secretRef: is required"),
        ({"auth": {"token": {"secretRef": {"name": "C4nary", "key": "k"}}}}, "spec.auth.token.secretRef.name: string should match"),
        ({"auth": {"token": {"secretRef": {"name": "a\n", "key": "k"}}}}, "spec.auth.token.secretRef.name: string should match"),
        ({"auth": {"token": {"secretRef": {**SECRET, "namespace": "a.b"}}}}, "secretRef.namespace: string should match"),
        ({"tokens": [TOKEN, {"secretRef": {"name": "a"}}]}, r"spec.tokens\[1\].secretRef.key: is required"),
        ({"auth": {}}, "spec.auth: exactly one of token, kubernetesRobot has to be given, not 0"),
        ({"auth": {"token": TOKEN, "kubernetesRobot": ROBOT}}, "exactly one of token, kubernetesRobot has to be given, not 2"),
        ({"maybe": {"token": TOKEN, "robot": ROBOT}}, "spec.maybe: at most one of token, robot has to be given, not 2"),
        ({"since": "c4nary"}, "spec.since: input should be a valid date"),
        ({"mode": None}, "spec.mode: input should be 'fast' or 'slow'"),
    ],
)  # fmt: skip
def test_what_can_not_be_is_named_and_not_shown(spec: dict[str, Any], text: str) -> None:
    """The object, the field and the reason; a value may be a secret in the wrong place."""
    with pytest.raises(InvalidSpecError, match=text) as caught:
        parse(**spec)

    message = str(caught.value)
    assert message.startswith("Full team-a/main: spec")
    assert "c4nary" not in message.lower()
    assert caught.value.__suppress_context__


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(InvalidSpecError, match=r"spec\.retries: .*; spec\.mode: .*; spec\.wrong: "):
        parse(retries=9, mode="x", wrong=1)


@pytest.mark.parametrize("value", [object(), {1, 2}, b"x"], ids=["object", "set", "bytes"])
def test_what_is_no_json_is_an_error_of_the_spec(value: object) -> None:
    with pytest.raises(InvalidSpecError, match="spec can't be expressed as JSON"):
        parse(serverUrl=value)


def test_the_alternative_that_is_given_is_the_chosen_one() -> None:
    spec = parse(auth={"kubernetesRobot": ROBOT, "mount": "x"}, maybe={})

    assert isinstance(spec.auth.chosen, Robot)
    assert spec.maybe.chosen is None
    assert Auth.alternatives() == ("token", "robot")


def test_every_selector_is_found_with_its_path_in_the_manifest() -> None:
    """Whatever is missed here is not checked before the first Secret is read."""
    spec = parse(
        auth={"token": TOKEN},
        maybe={"robot": ROBOT},
        tokens=[TOKEN, TOKEN],
        byName={"a": SECRET},
        nested={"b": [TOKEN]},
        ca={"type": "Secret", "name": "ca"},
    )

    assert [path for path, _ in selectors(spec)] == [
        "spec.auth.token.secretRef", "spec.maybe.robot.serviceAccountRef", "spec.tokens[0].secretRef",
        "spec.tokens[1].secretRef", "spec.byName.a", "spec.nested.b[0].secretRef", "spec.ca",
    ]  # fmt: skip
    assert all(isinstance(selector, Selector) for _, selector in selectors(spec))


def test_a_selector_in_a_set_is_found_too() -> None:
    class SetSpec(Spec):
        """Selectors without an order."""

        kind: ClassVar = "Set"
        refs: frozenset[SecretKeySelector] = frozenset()

    spec = SetSpec.parse({"refs": [SECRET]}, where="Set a/b")

    assert [selector.name for _, selector in selectors(spec)] == ["creds"]


def test_specs_are_frozen() -> None:
    """They are shared by threads."""
    with pytest.raises(ValueError, match="frozen"):
        parse().retries = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("kind", "plural"),
    [("Fake", "fakes"), ("SecretsManager", "secretsmanagers"), ("Policy", "policies"), ("Key", "keys"), ("Box", "boxes"), ("Hash", "hashes"), ("Address", "addresses")],
)  # fmt: skip
def test_plurals_are_those_of_kubebuilder(kind: str, plural: str) -> None:
    assert plural_of(kind) == plural


def test_a_class_knows_its_model_also_when_it_inherits_it() -> None:
    class Store(ProviderV2[FullSpec]):
        """A store."""

        @classmethod
        def open(cls, ctx):
            return cls()

    class Special(Store):
        """The same spec."""

    class Other(Store):
        """Its own, more special one."""

        spec = SpecialSpec

    assert Store.spec is Special.spec is FullSpec
    assert spec_type(Special, ProviderV2) is None
    assert Other.spec is SpecialSpec


def test_a_class_knows_its_model_also_through_a_generic_one() -> None:
    """Two kinds of one backend share a base class."""

    class Base(ProviderV2[AnySpec]):
        """Whatever is common."""

        @classmethod
        def open(cls, ctx):
            return cls()

    class Store(Base[SpecialSpec]):
        """One of them."""

    assert Store.spec is SpecialSpec
