"""What a real API server makes of our CRDs: those of every provider that is installed, and one that uses everything.

A provider tells its kinds by entry points, and its examples in `tests/crd_examples.yaml`:

    good:
      - {apiVersion: ..., kind: ..., spec: {...}}
    bad:
      - {apiVersion: ..., kind: ..., spec: {...}, message: what the user is told}

so that a provider that comes later is covered here without a change.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, TypeVar

import pytest
import yaml
from eso_e2e.http import AnswerError
from eso_e2e.kube_api import KubeApi
from provider_common.crd import Kind, all_names, crd, crds
from provider_common.errors import InvalidSpecError
from provider_common.spec import Spec

from .crd_models import EverythingSpec

REPOSITORY = Path(__file__).resolve().parents[2]
Manifest = dict[str, Any]
Test = TypeVar("Test", bound=Callable[..., None])

# GROUP/VERSION/KIND of every kind and alias, and the package that serves it.
SERVED = {
    entry.name: entry.value.partition(":")[0].partition(".")[0]
    for entry in sorted(entry_points(group="external_secrets.kinds"))
}
EXAMPLES = {
    path.parent.parent.name: yaml.safe_load(path.read_text())
    for path in sorted(REPOSITORY.glob("*/tests/crd_examples.yaml"))
}


def real(test: Test) -> Test:
    """A test against the API server, of which there is one, also when the tests run in several processes."""
    marked: Test = pytest.mark.real(pytest.mark.xdist_group("kube-apiserver")(test))
    return marked


def kinds_of(package: str) -> tuple[Kind, ...]:
    kinds: tuple[Kind, ...] = tuple(importlib.import_module(package).KINDS)
    return kinds


def title(manifest: Manifest) -> str:
    return f"{manifest['apiVersion']}/{manifest['kind']}"


def model_of(manifest: Manifest) -> type[Spec]:
    for kind in kinds_of(SERVED[title(manifest)]):
        if title(manifest) in (f"{version}/{name}" for version, name, _ in all_names((kind,))):
            return kind.spec
    raise AssertionError(f"{SERVED[title(manifest)]}.KINDS has no {title(manifest)}")


def crd_of(manifest: Manifest) -> Manifest:
    for made in crds(kinds_of(SERVED[title(manifest)]), aliases=True):
        names, versions = made["spec"]["names"], made["spec"]["versions"]
        if title(manifest) == f"{made['spec']['group']}/{versions[0]['name']}/{names['kind']}":
            return made
    raise AssertionError(f"{SERVED[title(manifest)]} makes no CRD for {title(manifest)}")


def good_examples() -> list[Any]:
    return [
        pytest.param(manifest, id=f"{provider}-{manifest['kind']}-{number}")
        for provider, examples in EXAMPLES.items()
        for number, manifest in enumerate(examples["good"])
    ]


def bad_examples() -> list[Any]:
    return [
        pytest.param(manifest, manifest["message"], id=f"{provider}-{manifest['kind']}-{number}")
        for provider, examples in EXAMPLES.items()
        for number, manifest in enumerate(examples["bad"])
    ]


Install = Callable[[Manifest], None]


@pytest.fixture(scope="session")
def install(kube_api: KubeApi) -> Install:
    """Applies a CRD, once in a run."""
    done: set[str] = set()

    def apply(manifest: Manifest) -> None:
        if manifest["metadata"]["name"] not in done:
            kube_api.apply(manifest)
            done.add(manifest["metadata"]["name"])

    return apply


def create(kube_api: KubeApi, manifest: Manifest) -> Manifest:
    """Create the object as kubectl does, which lets the API server refuse unknown fields. Nothing is kept."""
    folder = kube_api.path_of(manifest).rpartition("/")[0]
    stored: Manifest = kube_api.api("POST", f"{folder}?fieldValidation=Strict&dryRun=All", manifest)
    return stored


def named(example: Manifest, namespace: str) -> Manifest:
    """The object that an example describes."""
    return {
        "apiVersion": example["apiVersion"],
        "kind": example["kind"],
        "metadata": {"name": "main", "namespace": namespace},
        "spec": example["spec"],
    }


@real
@pytest.mark.parametrize("name", SERVED)
def test_the_api_server_takes_every_crd(kube_api: KubeApi, name: str) -> None:
    """Structural, within the cost that rules may have, and established."""
    version, _, kind = name.rpartition("/")

    kube_api.apply(crd_of({"apiVersion": version, "kind": kind}))

    conditions = kube_api.get(crd_of({"apiVersion": version, "kind": kind}))["status"]["conditions"]
    assert {c["type"]: c["status"] for c in conditions}["Established"] == "True"
    assert "NonStructuralSchema" not in {c["type"] for c in conditions}


@real
@pytest.mark.parametrize("manifest", good_examples())
def test_a_good_object_is_stored_and_parsed(kube_api: KubeApi, install: Install, manifest: Manifest) -> None:
    """With the defaults that the API server adds, it is still what the provider takes."""
    install(crd_of(manifest))

    stored = create(kube_api, named(manifest, "default"))

    model = model_of(manifest)
    given = model.parse(manifest["spec"], where="given")
    assert model.parse(stored.get("spec", {}), where="stored") == given


@real
@pytest.mark.parametrize(("manifest", "message"), bad_examples())
def test_a_bad_object_is_refused_and_the_user_is_told_why(
    kube_api: KubeApi, install: Install, manifest: Manifest, message: str
) -> None:
    """By `kubectl apply`, before anything uses it; and by the provider, where there is no API server."""
    install(crd_of(manifest))

    with pytest.raises(AnswerError) as refused:
        create(kube_api, named(manifest, "default"))
    with pytest.raises(InvalidSpecError) as not_parsed:
        model_of(manifest).parse(manifest["spec"], where="given")

    assert message in refused.value.body["message"]
    assert message in not_parsed.value.message


@pytest.mark.parametrize("name", SERVED)
def test_every_kind_has_a_good_and_a_bad_example(name: str) -> None:
    """An alias has the spec of its kind, and needs none of its own."""
    version, _, kind = name.rpartition("/")
    model = model_of({"apiVersion": version, "kind": kind})
    good = [m for examples in EXAMPLES.values() for m in examples["good"]]
    bad = [m for examples in EXAMPLES.values() for m in examples["bad"]]

    assert any(model_of(manifest) is model for manifest in good), f"no good example of {name}"
    # Where there is nothing to give there is nothing to get wrong but an unknown field.
    assert not model.model_fields or any(model_of(m) is model for m in bad), f"no bad example of {name}"


EVERYTHING = "provider.secretstore.external-secrets.io/v2alpha1"
ENOUGH: Manifest = {"region": "eu", "auth": {"token": {"tokenSecretRef": {"name": "acme", "key": "token"}}}}


def everything(**spec: Any) -> Manifest:
    return {
        "apiVersion": EVERYTHING,
        "kind": "Everything",
        "metadata": {"name": "main"},
        "spec": {**ENOUGH, **spec},
    }


@real
def test_a_crd_with_everything_stores_an_object_with_its_defaults(
    kube_api: KubeApi, install: Install
) -> None:
    """Every sort of field is taken, and comes back as the model would fill it in."""
    install(crd(EverythingSpec, role="store"))
    spec: Manifest = {
        "keyed": {"a-b": 1},
        "extra": {"free": {"form": [1, "x"]}},
        "anything": "at all",
        "either": "5",
        "since": "2024-01-01T00:00:00Z",
        "several": [{"low": 1}],
        "byName": {"x": {"high": 3}},
        "unique": ["a", "b"],
        "labels": {"a": "b"},
    }

    stored = create(kube_api, everything(**spec))

    assert stored["spec"]["extra"] == {"free": {"form": [1, "x"]}}
    assert (stored["spec"]["size"], stored["spec"]["level"], stored["spec"]["ratio"]) == (6, "low", 0.5)
    assert stored["spec"]["several"] == [{"low": 1, "high": 9}]
    assert EverythingSpec.parse(stored["spec"], where="stored") == EverythingSpec.parse(
        everything(**spec)["spec"], where="given"
    )


@real
@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"auth": {}}, "spec.auth: Invalid value: exactly one of token, in has to be given"),
        (
            {"auth": {**ENOUGH["auth"], "in": {"name": "app"}}},
            "spec.auth: Invalid value: exactly one of token, in has to be given",
        ),
        ({"limits": {"low": 5, "high": 3}}, "spec.limits: Invalid value: low has to be at most high"),
        ({"several": [{"low": 5, "high": 3}]}, "spec.several[0]: Invalid value: low has to be at most high"),
        ({"size": 4}, "spec.size: Invalid value: 4: spec.size in body should be greater than or equal to 5"),
        ({"size": "6"}, 'spec.size: Invalid value: "string": spec.size in body must be of type integer'),
        ({"ratio": 0}, "spec.ratio in body should be greater than 0"),
        ({"limits": {"high": 100}}, "spec.limits.high in body should be less than or equal to 99"),
        ({"level": "mid"}, 'spec.level: Unsupported value: "mid": supported values: "low", "high"'),
        ({"only": "that"}, 'spec.only: Unsupported value: "that": supported values: "this"'),
        ({"keyed": {"a b": 1}}, "every key has to match ^[-._a-zA-Z0-9]+$"),
        ({"keyed": {"": 1}}, "every key has to have 1 to 253 characters"),
        ({"few": [{}, {}, {}, {}]}, "spec.few: Too many: 4: must have at most 3 items"),
        ({"region": ""}, "spec.region in body should be at least 1 chars long"),
        ({"region": None}, "spec.region: Required value"),
        ({"colour": "green"}, 'spec.colour: Unsupported value: "green": supported values: "red", "blue"'),
        ({"reigon": "eu"}, 'unknown field "spec.reigon"'),
        ({"auth": {"in": {"name": "No Name"}}}, "spec.auth.in.name in body should match"),
    ],
)
def test_a_crd_with_everything_refuses_what_the_model_refuses(
    kube_api: KubeApi, install: Install, spec: Manifest, message: str
) -> None:
    """The two never disagree, and the message names the field and the fix."""
    install(crd(EverythingSpec, role="store"))

    with pytest.raises(AnswerError) as refused:
        create(kube_api, everything(**spec))
    with pytest.raises(InvalidSpecError):
        EverythingSpec.parse(everything(**spec)["spec"], where="given")

    assert message in refused.value.body["message"]
