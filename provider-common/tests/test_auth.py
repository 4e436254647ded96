"""AuthResolver: what each method reads, in which namespace, what it says when something is missing, and what it remembers."""

import base64
import datetime as dt
import ssl
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from provider_common import (
    AccessDeniedError,
    Block,
    CAProvider,
    ConfigMapKeySelector,
    DeadlineError,
    Field,
    InvalidSpecError,
    MissingReferenceError,
    SecretBytes,
    SecretKeySelector,
    ServiceAccountSelector,
    Spec,
    TemporaryError,
)
from provider_common.auth import AuthResolver, Scope, TokenCache
from provider_common.certificates import issue_certs
from provider_common.errors import UnknownNamespaceError
from provider_common.kube import IssuedToken
from provider_common.testing import FakeKube


class Login(Block):
    """Nested, so that the path in a message is more than one step."""

    password: SecretKeySelector | None = None


class ManySpec(Spec):
    """One selector of each sort."""

    kind: ClassVar = "Many"
    login: Login | None = None
    more: tuple[SecretKeySelector, ...] = ()
    named: Mapping[str, SecretKeySelector] = Field(default_factory=dict)
    ca: CAProvider | None = None
    settings: ConfigMapKeySelector | None = None
    account: ServiceAccountSelector | None = None


NAMESPACED = Scope("SecretStore", False, "team-a", "team-a", "team-a")
CLUSTER = Scope("ClusterSecretStore", True, "infra", "infra", "team-a")
REFERENT = Scope("ClusterSecretStore", True, "infra", "", "")


@pytest.fixture
def kube() -> FakeKube:
    kube = FakeKube()
    for namespace in ("team-a", "infra", "other"):
        kube.add_secret(namespace, "creds", {"password": namespace.encode(), "bad": b"\xffs3cret"})
        kube.add_config_map(namespace, "settings", {"url": f"https://{namespace}"})
        kube.add_service_account(namespace, "robot", annotations={"role": namespace})
    return kube


def resolver(
    kube: FakeKube, scope: Scope = NAMESPACED, spec: Spec | None = None, **more: TokenCache
) -> AuthResolver:
    return AuthResolver(kube, scope=scope, spec=spec or ManySpec(), tokens=more.get("tokens") or TokenCache())


def secret(key: str = "password", *, name: str = "creds", namespace: str | None = None) -> SecretKeySelector:
    return SecretKeySelector(name=name, key=key, namespace=namespace)


@pytest.mark.parametrize(
    ("scope", "namespace", "read"),
    [
        pytest.param(NAMESPACED, None, b"team-a", id="own"),
        pytest.param(NAMESPACED, "team-a", b"team-a", id="own, written out"),
        pytest.param(CLUSTER, None, b"infra", id="cluster, credentials namespace"),
        pytest.param(CLUSTER, "other", b"other", id="cluster, named"),
    ],
)
def test_a_secret_is_read_in_the_namespace_of_the_rule(kube, scope, namespace, read) -> None:
    value = resolver(kube, scope).secret_key(secret(namespace=namespace))

    assert (type(value), value) == (SecretBytes, read)
    assert kube.secrets_read == [(read.decode(), "creds")]


@pytest.mark.parametrize(
    "follow",
    [
        lambda auth: auth.secret_key(secret(namespace="other")),
        lambda auth: auth.secret_text(secret(namespace="other")),
        lambda auth: auth.secret(secret(namespace="other")),
        lambda auth: auth.config_map_key(ConfigMapKeySelector(name="settings", key="url", namespace="other")),
        lambda auth: auth.ca_bundle(None, CAProvider(type="Secret", name="creds", namespace="other")),
        lambda auth: auth.ca_bundle(None, CAProvider(type="ConfigMap", name="settings", namespace="other")),
        lambda auth: auth.service_account(ServiceAccountSelector(name="robot", namespace="other")),
        lambda auth: auth.service_account_token(ServiceAccountSelector(name="robot", namespace="other")),
    ],
    ids=[
        "secret_key",
        "secret_text",
        "secret",
        "config_map_key",
        "ca_secret",
        "ca_config_map",
        "account",
        "token",
    ],
)
def test_no_method_leaves_the_namespace_of_a_namespaced_store(kube, follow) -> None:
    """Also with a selector that is not from the spec, which nobody could check beforehand."""
    with pytest.raises(AccessDeniedError, match=r"'other'.*'team-a'"):
        follow(resolver(kube))

    assert kube.secrets_read == kube.config_maps_read == kube.accounts_read == kube.tokens_issued == []


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"login": {"password": {"name": "c", "key": "k", "namespace": "other"}}}, "spec.login.password"),
        (
            {"more": [{"name": "c", "key": "k"}, {"name": "c", "key": "k", "namespace": "other"}]},
            r"spec.more\[1\]",
        ),
        ({"named": {"x": {"name": "c", "key": "k", "namespace": "other"}}}, "spec.named.x"),
        ({"ca": {"type": "Secret", "name": "c", "namespace": "other"}}, "spec.ca"),
        ({"account": {"name": "c", "namespace": "other"}}, "spec.account"),
    ],
    ids=["nested", "list", "map", "ca", "account"],
)
def test_a_foreign_selector_anywhere_in_the_spec_is_denied_before_anything_is_read(kube, spec, field) -> None:
    """Wherever the walk does not look, an author could read a neighbour's Secret first and fail later."""
    with pytest.raises(AccessDeniedError, match=field):
        resolver(kube, spec=ManySpec.parse(spec, where="Many team-a/main"))


def test_a_referent_selector_without_a_caller_is_not_known_yet(kube) -> None:
    with pytest.raises(UnknownNamespaceError, match="no caller is known yet"):
        resolver(kube, REFERENT).secret_key(secret())
    assert resolver(kube, REFERENT).secret_key(secret(namespace="other")) == b"other"


@pytest.mark.parametrize(
    ("follow", "text"),
    [
        (lambda a: a.secret_key(secret(name="gone")), "There is no Secret 'gone' in namespace 'team-a'"),
        (lambda a: a.secret_key(secret("gone")), "Secret 'creds' in namespace 'team-a' has no key 'gone'"),
        (lambda a: a.secret(secret(name="gone")), "There is no Secret 'gone'"),
        (
            lambda a: a.config_map_key(ConfigMapKeySelector(name="settings", key="gone")),
            "ConfigMap 'settings' in namespace 'team-a' has no key 'gone'",
        ),
        (
            lambda a: a.service_account(ServiceAccountSelector(name="gone")),
            "There is no ServiceAccount 'gone'",
        ),
        (lambda a: a.ca_bundle(None, CAProvider(type="Secret", name="creds")), "has no key 'ca.crt'"),
    ],
    ids=["secret", "key", "whole", "config-map", "account", "ca"],
)
def test_what_is_missing_is_named(kube, follow, text) -> None:
    with pytest.raises(MissingReferenceError, match=text):
        follow(resolver(kube))


def test_a_message_names_the_field_of_the_manifest(kube) -> None:
    spec = ManySpec(login=Login(password=secret("gone")))
    with pytest.raises(MissingReferenceError, match=r"\(spec\.login\.password\)"):
        resolver(kube, spec=spec).secret_key(spec.login.password)


def test_text_is_as_stored_unless_it_is_to_be_stripped(kube) -> None:
    kube.add_secret("team-a", "creds", {"password": b" p\xc3\xa4ss \n"})
    auth = resolver(kube)

    assert auth.secret_text(secret()) == " päss \n"
    assert auth.secret_text(secret(), strip=True) == "päss"


def test_what_is_no_text_is_named_and_not_shown(kube) -> None:
    with pytest.raises(InvalidSpecError, match="key 'bad' of Secret 'creds' is not UTF-8") as caught:
        resolver(kube).secret_text(secret("bad"))

    assert "s3cret" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_whole_secret_hides_its_values(kube) -> None:
    data = resolver(kube).secret(secret())

    assert data["password"] == b"team-a"
    assert "team-a" not in repr(data)


@pytest.fixture(scope="module")
def pem(tmp_path_factory) -> bytes:
    return issue_certs(tmp_path_factory.mktemp("ca"), hosts=("localhost",)).ca_file.read_bytes()


@pytest.mark.parametrize("layers", [0, 1, 2], ids=["as it is", "base64", "base64 twice"])
def test_a_bundle_is_read_through_its_layers(kube, pem, layers) -> None:
    """`caBundle` is base64 in the manifest; wrapping PEM that was wrapped already is a common mistake."""
    content = pem
    for _ in range(layers):
        content = base64.encodebytes(content)

    assert resolver(kube).ca_bundle(content.decode(), None) == pem


def test_a_bundle_may_have_comments_in_any_language(kube, pem) -> None:
    """The usual collection of public roots has them, and authorities that are named so."""
    commented = "# Főtanúsítvány\n".encode() + pem

    assert resolver(kube).ca_bundle(base64.b64encode(commented).decode(), None) == commented


@pytest.mark.parametrize(
    "bundle",
    ["!", "bm90IGEgY2VydA==", "ключ", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"],
)
def test_a_bundle_without_a_certificate_is_an_error_of_the_spec(kube, bundle) -> None:
    with pytest.raises(InvalidSpecError, match="caBundle holds no certificate"):
        resolver(kube).ca_bundle(bundle, None)


def test_a_certificate_as_gos_issuer_makes_it_is_taken(kube) -> None:
    """With the serial number 0, which RFC 5280 forbids and Python's `cryptography` is about to refuse."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "external-secrets")])
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + dt.timedelta(days=1))
    der = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
    made = ssl.DER_cert_to_PEM_cert(der.replace(b"\x02\x01\x01", b"\x02\x01\x00", 1))

    assert resolver(kube).ca_bundle(made, None) == made.encode()


def test_a_bundle_wins_over_a_source(kube, pem) -> None:
    source = CAProvider(type="Secret", name="gone")

    assert resolver(kube).ca_bundle(pem.decode(), source) == pem
    assert resolver(kube).ca_bundle(None, None) is None
    assert kube.secrets_read == []


@pytest.mark.parametrize(("kind", "key"), [("Secret", None), ("ConfigMap", "other.pem")])
def test_a_ca_source_is_used_as_it_is(kube, kind, key) -> None:
    add = kube.add_secret if kind == "Secret" else kube.add_config_map
    add("team-a", "ca", {key or "ca.crt": b"whatever"})

    assert resolver(kube).ca_bundle(None, CAProvider(type=kind, name="ca", key=key)) == b"whatever"


def test_a_ca_source_of_a_cluster_store_names_its_namespace(kube) -> None:
    """Whose CA it is must not depend on who asks."""
    kube.add_config_map("other", "ca", {"ca.crt": "x"})
    with pytest.raises(InvalidSpecError, match=r"namespace: has to be given.*ClusterSecretStore"):
        resolver(kube, CLUSTER).ca_bundle(None, CAProvider(type="ConfigMap", name="ca"))

    source = CAProvider(type="ConfigMap", name="ca", namespace="other")
    assert resolver(kube, CLUSTER).ca_bundle(None, source) == b"x"


# What was read, and whether it is still so


@pytest.mark.parametrize(
    ("follow", "change"),
    [
        (lambda a: a.secret_key(secret()), lambda k: k.add_secret("team-a", "creds", {"password": b"new"})),
        (
            lambda a: a.secret(secret()),
            lambda k: k.add_secret("team-a", "creds", {"password": b"team-a", "x": b""}),
        ),
        (lambda a: a.secret_key(secret()), lambda k: k.remove_secret("team-a", "creds")),
        (
            lambda a: a.config_map_key(ConfigMapKeySelector(name="settings", key="url")),
            lambda k: k.add_config_map("team-a", "settings", {"url": "https://new"}),
        ),
        (
            lambda a: a.service_account(ServiceAccountSelector(name="robot")),
            lambda k: k.add_service_account("team-a", "robot", annotations={"role": "new"}),
        ),
        (
            lambda a: a.service_account_token(ServiceAccountSelector(name="robot")),
            lambda k: k.add_service_account(
                "team-a", "robot", annotations={"role": "team-a"}, uid="made again"
            ),
        ),
    ],
    ids=["value", "further key", "gone", "config map", "annotation", "account made again"],
)
def test_a_change_of_what_was_read_is_seen(kube, follow, change) -> None:
    auth = resolver(kube)
    follow(auth)
    assert not auth.changed()

    change(kube)

    assert auth.changed()


def test_a_later_read_does_not_hide_that_the_first_is_outdated(kube) -> None:
    """A store keeps what it was opened with; reading another key of the Secret while it works does not renew that."""
    auth = resolver(kube)
    auth.secret_key(secret())
    kube.add_secret("team-a", "creds", {"password": b"new", "other": b"x"})

    auth.secret_key(secret("other"))

    assert auth.changed()


def test_moving_bytes_between_key_and_value_is_a_change(kube) -> None:
    kube.add_secret("team-a", "creds", {"a": b"bc"})
    auth = resolver(kube)
    auth.secret_key(secret("a"))

    kube.add_secret("team-a", "creds", {"ab": b"c"})

    assert auth.changed()


def test_kubernetes_that_is_away_is_no_change(kube) -> None:
    auth = resolver(kube)
    auth.secret_key(secret())
    kube.unavailable = True

    with pytest.raises(TemporaryError):
        auth.changed()


# Tokens


def token_of(auth: AuthResolver, *audiences: str, own: tuple[str, ...] = ()) -> str:
    return auth.service_account_token(
        ServiceAccountSelector(name="robot", audiences=own), audiences=audiences
    ).value


def test_a_token_is_shared_by_stores_and_never_by_namespaces(kube) -> None:
    tokens = TokenCache()
    first = token_of(resolver(kube, tokens=tokens), "vault")

    assert token_of(resolver(kube, tokens=tokens), "vault") == first
    assert token_of(resolver(kube, CLUSTER, tokens=tokens), "vault") != first
    assert [namespace for namespace, _, _ in kube.tokens_issued] == ["team-a", "infra"]


def test_a_token_depends_on_its_audiences_and_on_which_account_it_is(kube) -> None:
    """An account that was deleted and made again has the same name, and other rights."""
    auth = resolver(kube)
    first = token_of(auth, "vault")
    assert token_of(auth, "sts") != first
    assert token_of(auth, "vault", own=("extra", "vault")) != first
    assert kube.tokens_issued[-1] == ("team-a", "robot", ("vault", "extra"))

    kube.add_service_account("team-a", "robot", annotations={"role": "team-a"}, uid="made again")

    assert token_of(auth, "vault") != first


def issue(clock: list[float], life: float = 100.0):
    count = iter(range(1000))
    return lambda: IssuedToken(f"t{next(count)}", clock[0], clock[0] + life)


@pytest.mark.parametrize(
    ("clock_says", "really", "value"),
    [
        pytest.param(79.9, 79.9, "t0", id="79 %"),
        pytest.param(80.0, 80.0, "t1", id="80 %"),
        pytest.param(-1.0, 81.0, "t1", id="the clock was set back"),
        pytest.param(40.0, 81.0, "t1", id="the clock was set back by less than the token's age"),
        pytest.param(81.0, 1.0, "t1", id="the clock was set ahead, or the machine slept"),
        pytest.param(-3600.0, 1.0, "t0", id="the clock was set back and the token is young"),
    ],
)
def test_a_token_is_kept_until_80_percent_of_its_life(clock_says, really, value) -> None:
    """A clock that was set back must not keep a token beyond its end."""
    clock, steady = [0.0], [500.0]
    tokens, make = TokenCache(clock=lambda: clock[0], steady=lambda: steady[0]), issue(clock)
    tokens.get(("k",), make)
    clock[0], steady[0] = clock_says, 500.0 + really

    assert tokens.get(("k",), make).value == value


def test_one_caller_requests_a_token_and_the_others_wait() -> None:
    tokens, began, go = TokenCache(), threading.Event(), threading.Event()
    made: list[int] = []

    def make() -> IssuedToken:
        made.append(1)
        began.set()
        assert go.wait(10)
        return IssuedToken("t", 0.0, 1e12)

    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(tokens.get, ("k",), make) for _ in range(8)]
        assert began.wait(10)
        go.set()
        assert {call.result().value for call in calls} == {"t"}
    assert len(made) == 1
    assert (tokens.hits, tokens.misses) == (7, 1)


def test_a_caller_waits_for_another_no_longer_than_its_own_time() -> None:
    tokens, began, go = TokenCache(timeout=lambda: 0.05), threading.Event(), threading.Event()

    def hang() -> IssuedToken:
        began.set()
        go.wait(10)
        return IssuedToken("t", 0.0, 1e12)

    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(tokens.get, ("k",), hang)
        assert began.wait(10)
        with pytest.raises(DeadlineError):
            tokens.get(("k",), hang)
        go.set()
        assert hanging.result().value == "t"


def test_a_request_that_fails_is_made_again_and_leaves_nothing_behind() -> None:
    tokens = TokenCache()

    def fail() -> IssuedToken:
        raise TemporaryError("away")

    for i in range(100):
        with pytest.raises(TemporaryError):
            tokens.get(("k", i), fail)

    assert (len(tokens._making), tokens._tokens) == (0, {})
    assert tokens.get(("k", 0), lambda: IssuedToken("t", 0.0, 1e12)).value == "t"


@pytest.mark.parametrize("life", [1.0, 1e6], ids=["expired", "all fresh"])
def test_the_number_of_tokens_is_bounded(life) -> None:
    clock = [0.0]
    tokens, make = TokenCache(clock=lambda: clock[0], limit=10), issue(clock, life)
    for i in range(100):
        clock[0] += 1
        tokens.get((i,), make)

    assert len(tokens._tokens) <= 10


def test_the_resolver_tells_where_it_reads(kube) -> None:
    assert (resolver(kube).namespace, resolver(kube).cluster_scoped) == ("team-a", False)
    assert (resolver(kube, CLUSTER).namespace, resolver(kube, CLUSTER).cluster_scoped) == ("infra", True)


def test_no_credential_shows_in_a_repr(kube) -> None:
    auth = resolver(kube)
    value: Mapping[str, SecretBytes] = auth.secret(secret())
    auth.service_account_token(ServiceAccountSelector(name="robot"))

    for thing in (auth, auth._reads, value, auth._tokens, auth._tokens._tokens):
        assert "b'team-a'" not in repr(thing)
        assert "token-team-a" not in repr(thing)
