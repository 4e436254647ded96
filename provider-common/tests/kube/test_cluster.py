"""ClusterReader against a real API server that is in order: what it sees, what it may do, what it says."""

from __future__ import annotations

import base64
import json
import logging
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from eso_e2e.kube_api import KubeApi
from provider_common._kube_cluster import ClusterReader, Pace
from provider_common.errors import AccessDeniedError, InvalidSpecError, MissingReferenceError, TemporaryError

from .conftest import Open, Things, eventually

CANARY = "c4nary-v4lue"
CORE = {"apiGroups": [""]}

# One API server serves all of them, also when the tests run in several processes.
pytestmark = [pytest.mark.real, pytest.mark.xdist_group("kube-apiserver")]


def own_rules(things: Things) -> list[dict[str, list[str]]]:
    return [{"apiGroups": [things.group], "resources": ["things"], "verbs": ["get", "list", "watch"]}]


def _size_if_known(things: Things, reader: ClusterReader) -> int | None:
    try:
        return things.size_seen_by(reader, "main")
    except TemporaryError:
        return None


def test_objects_of_all_namespaces_are_seen(kube_api: KubeApi, things: Things, open_reader: Open) -> None:
    """Also when there are more than fit a page."""
    things.install()
    for number in range(5):
        things.apply(f"thing-{number}", size=number)
    reader = open_reader(kube_api.kubeconfig, (things.served(),), pace=Pace(page=2))

    found = [things.seen_by(reader, f"thing-{number}") for number in range(5)]

    assert [thing.spec for thing in found if thing] == [{"size": number, "note": ""} for number in range(5)]
    assert all(thing.uid and thing.resource_version and thing.generation == 1 for thing in found if thing)
    assert things.seen_by(reader, "thing-5") is None
    assert reader.status().synced
    assert set(reader.status().ages) == {f"{things.api_version}/Thing"}


def test_a_change_is_a_new_object_and_a_label_is_none(
    kube_api: KubeApi, things: Things, open_reader: Open
) -> None:
    """A store is opened again for a new object, so only a changed spec may make one."""
    things.install()
    things.apply("main", size=1)
    things.apply("other", size=1)
    reader = open_reader(kube_api.kubeconfig, (things.served(),))
    before, other = things.seen_by(reader, "main"), things.seen_by(reader, "other")

    things.apply("main", size=1, labels={"team": "a"})
    things.apply("other", size=2)  # comes after it in the same watch
    eventually(lambda: things.size_seen_by(reader, "other") == 2)

    after = things.seen_by(reader, "other")
    assert things.seen_by(reader, "main") is before
    assert after is not other
    assert after is not None
    assert after.generation == 2


def test_a_deleted_object_is_gone_and_a_new_one_is_there(
    kube_api: KubeApi, things: Things, open_reader: Open
) -> None:
    """By the watch alone."""
    things.install()
    things.apply("old")
    reader = open_reader(kube_api.kubeconfig, (things.served(),))
    assert things.seen_by(reader, "old") is not None

    things.delete("old")
    things.apply("new")

    eventually(lambda: things.seen_by(reader, "new"))
    assert things.seen_by(reader, "old") is None


def test_a_reader_starts_before_its_crd_exists(
    kube_api: KubeApi, things: Things, open_reader: Open, caplog: pytest.LogCaptureFixture
) -> None:
    """Provider and CRDs are installed in any order. Until then: not ready, and a text that says what to do."""
    reader = open_reader(kube_api.kubeconfig, (things.served(),))

    with pytest.raises(TemporaryError, match=rf"things\.{things.group} is not installed: .*`crds` command"):
        things.seen_by(reader, "main")
    assert not reader.status().synced
    assert "is not installed" in reader.status().problems[f"{things.api_version}/Thing"]
    assert caplog.text.count("is not installed") == 1

    things.install()
    things.apply("main", size=3)

    eventually(lambda: reader.status().synced)
    eventually(lambda: things.size_seen_by(reader, "main") == 3)
    assert reader.status().problems == {}


def test_an_optional_type_that_is_not_installed_is_looked_for_quietly(
    kube_api: KubeApi, things: Things, open_reader: Open, caplog: pytest.LogCaptureFixture
) -> None:
    """Aliases need not be installed: no log, no problem, and the provider is ready."""
    caplog.set_level(logging.INFO)
    reader = open_reader(kube_api.kubeconfig, (things.served(optional=True),))

    with pytest.raises(TemporaryError, match="is not installed"):
        things.seen_by(reader, "main")
    assert (reader.status().synced, reader.status().problems) == (True, {})
    assert things.group not in caplog.text

    things.install()
    things.apply("main", size=3)
    eventually(lambda: _size_if_known(things, reader) == 3)


def test_secrets_are_read_without_a_right_to_list_them(
    kube_api: KubeApi, things: Things, open_reader: Open
) -> None:
    """The least rights are enough: list and watch for our own objects, get for Secrets."""
    things.install()
    things.apply("main", size=7)
    kube_api.create_secret(things.namespace, "acme", {"token": CANARY})
    rules = [*own_rules(things), {**CORE, "resources": ["secrets"], "verbs": ["get"]}]
    kubeconfig = kube_api.service_account_kubeconfig(things.namespace, "provider", rules)
    reader = open_reader(kubeconfig, (things.served(),))

    assert reader.read_secret(things.namespace, "acme") == {"token": CANARY.encode()}
    assert reader.read_secret(things.namespace, "other") is None
    assert things.size_seen_by(reader, "main") == 7


@pytest.mark.parametrize(
    ("namespace", "name"),
    [
        ("", "acme"),
        ("team-a", ""),
        ("team-a", ".."),
        ("..", "acme"),
        ("team-a/secrets", "acme"),
        ("team-a", "a?b"),
    ],
)
def test_a_name_that_cannot_be_one_never_becomes_a_list(
    kube_api: KubeApi, open_reader: Open, namespace: str, name: str
) -> None:
    """An empty name would ask for all Secrets, dots for another path: such an object can't exist, so it is not asked for.

    The reader here may do everything, and would be answered.
    """
    reader = open_reader(kube_api.kubeconfig)

    assert reader.read_secret(namespace, name) is None
    with pytest.raises(MissingReferenceError):
        reader.create_token(namespace, name, audiences=(), expiration_seconds=None)


def test_config_maps_and_service_accounts_are_read_by_name(
    kube_api: KubeApi, things: Things, open_reader: Open
) -> None:
    """Binary data, annotations and the UID included."""
    kube_api.apply(
        [
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "ca", "namespace": things.namespace},
                "data": {"text": "é"},
                "binaryData": {"raw": "AP8="},
            },
            {
                "apiVersion": "v1",
                "kind": "ServiceAccount",
                "metadata": {"name": "app", "namespace": things.namespace, "annotations": {"role": "r"}},
                "secrets": [{"name": "legacy"}],
            },
        ]
    )
    reader = open_reader(kube_api.kubeconfig)

    account = reader.read_service_account(things.namespace, "app")

    assert reader.read_config_map(things.namespace, "ca") == {"text": "é".encode(), "raw": b"\x00\xff"}
    assert account is not None
    assert (account.annotations, account.secrets) == ({"role": "r"}, ("legacy",))
    assert account.uid
    assert reader.read_config_map(things.namespace, "other") is None
    assert reader.read_service_account(things.namespace, "other") is None


def test_what_rbac_forbids_names_the_right_that_is_missing(
    kube_api: KubeApi, things: Things, open_reader: Open
) -> None:
    """Whoever installs the provider reads from the message what to grant."""
    things.install()
    kube_api.create_secret(things.namespace, "acme", {"token": CANARY})
    reader = open_reader(
        kube_api.service_account_kubeconfig(things.namespace, "nobody", []), (things.served(),)
    )

    with pytest.raises(AccessDeniedError) as read:
        reader.read_secret(things.namespace, "acme")
    with pytest.raises(AccessDeniedError) as token:
        reader.create_token(things.namespace, "nobody", audiences=(), expiration_seconds=None)
    with pytest.raises(TemporaryError) as followed:
        things.seen_by(reader, "main")

    assert f"may not get secrets 'acme' in namespace '{things.namespace}'" in str(read.value)
    assert "grant its ServiceAccount the verb 'get' on 'secrets'" in str(read.value)
    assert read.value.details["resource"] == "secrets"
    assert "'create' on 'serviceaccounts/token'" in str(token.value)
    assert f"get, list and watch on things.{things.group}" in str(followed.value)
    assert read.value.__context__ is None, "an exception of the client holds the answer's body"


def test_a_token_is_for_the_account_the_audiences_and_the_time_asked(
    kube_api: KubeApi, things: Things, open_reader: Open
) -> None:
    """TokenRequest, with no other right than to create one."""
    kube_api.service_account_token(things.namespace, "app")
    rules = [{**CORE, "resources": ["serviceaccounts/token"], "verbs": ["create"]}]
    reader = open_reader(kube_api.service_account_kubeconfig(things.namespace, "provider", rules))

    token = reader.create_token(things.namespace, "app", audiences=("vault", "sts"), expiration_seconds=700)

    payload = token.value.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert claims["aud"] == ["vault", "sts"]
    assert claims["sub"] == f"system:serviceaccount:{things.namespace}:app"
    assert 690 <= token.expires_at - token.issued_at <= 710
    assert token.value not in repr(token)


def test_a_token_that_cannot_be_had_says_why(kube_api: KubeApi, things: Things, open_reader: Open) -> None:
    """No such account, or a lifetime that the API server refuses."""
    kube_api.service_account_token(things.namespace, "app")
    reader = open_reader(kube_api.kubeconfig)

    with pytest.raises(MissingReferenceError, match="There is no ServiceAccount 'other'"):
        reader.create_token(things.namespace, "other", audiences=(), expiration_seconds=None)
    with pytest.raises(InvalidSpecError, match="a lifetime is 600 seconds or more"):
        reader.create_token(things.namespace, "app", audiences=("a",), expiration_seconds=5)


def test_a_rotated_token_of_the_pod_is_taken_up(
    kube_api: KubeApi, things: Things, open_reader: Open, tmp_path: Path
) -> None:
    """The kubelet writes a new token before the old one ends; one that is refused already is read again at once."""
    things.install()
    things.apply("main", size=4)
    (tmp_path / "ca.crt").write_bytes(kube_api.ca_file.read_bytes())
    (tmp_path / "token").write_text("expired")
    host, _, port = kube_api.url.removeprefix("https://").rpartition(":")
    environ = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}
    reader = open_reader(None, (things.served(),), environ=environ, service_account=tmp_path)
    with pytest.raises(TemporaryError, match="does not accept the provider's own credentials"):
        things.seen_by(reader, "main")

    (tmp_path / "token").write_text(kube_api.admin_token)

    eventually(lambda: reader.status().synced)
    assert things.size_seen_by(reader, "main") == 4


def test_closing_ends_the_threads_at_once(kube_api: KubeApi, things: Things, open_reader: Open) -> None:
    """A drain must not wait for a watch of five minutes."""
    things.install()
    reader = open_reader(kube_api.kubeconfig, (things.served(),), pace=Pace())
    eventually(lambda: reader.status().synced)
    threads = [thread for thread in threading.enumerate() if thread.name == "watch Thing"]

    reader.close()

    assert threads
    assert not any(thread.is_alive() for thread in threads)


def test_a_type_that_is_not_followed_is_a_mistake_of_the_caller(kube_api: KubeApi, open_reader: Open) -> None:
    """Not to be taken for an object that is not there."""
    reader = open_reader(kube_api.kubeconfig)

    with pytest.raises(LookupError, match="is not among the types that are followed"):
        reader.get_object("a.example.com/v1", "Other", "default", "main")


def test_nothing_secret_is_in_a_repr_or_a_log(
    kube_api: KubeApi, things: Things, open_reader: Open, caplog: pytest.LogCaptureFixture
) -> None:
    """Not even at DEBUG, where libraries like to show what they were sent."""
    caplog.set_level(logging.DEBUG)
    things.install()
    things.apply("main", note=CANARY)
    kube_api.create_secret(things.namespace, "acme", {"token": CANARY})
    reader = open_reader(kube_api.kubeconfig, (things.served(),))

    secret = reader.read_secret(things.namespace, "acme")
    found = things.seen_by(reader, "main")
    kube_api.service_account_token(things.namespace, "app")
    token = reader.create_token(things.namespace, "app", audiences=("a",), expiration_seconds=None)

    assert secret == {"token": CANARY.encode()}
    assert found is not None
    shown = f"{secret!r} {found!r} {reader!r} {vars(reader)!r} {token!r}"
    for value in (CANARY, base64.b64encode(CANARY.encode()).decode(), kube_api.admin_token, token.value):
        assert value not in shown
        assert value not in caplog.text


def test_the_kubernetes_client_is_loaded_only_for_a_cluster() -> None:
    """It weighs a second and 100 MiB, which the folder mode need not pay."""
    program = (
        "import sys, provider_common, provider_common._kube_folder, provider_common.crd, provider_common.rbac;"
        "print(sorted(name for name in sys.modules if name.partition('.')[0] == 'kubernetes'))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
