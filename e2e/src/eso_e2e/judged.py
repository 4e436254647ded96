"""The world in which the conformance suite judges a provider of this repository, as far as it is the same for all of them.

Config objects have the same names in two teams, and the keys that play faults do, too. What differs a provider's own test says:
kinds and specs, the backend and how it is seeded, limits, and what is known to fail.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import yaml
from provider_conformance.target import Faults, GeneratorTarget, Hang, Obj, StoreTarget, Target

from eso_e2e.served import Served

STORES: Final = "provider.secretstore.external-secrets.io/v2alpha1"
GENERATORS: Final = "provider.generator.external-secrets.io/v2alpha1"

STORE_OBJECTS: Final[Mapping[str, Any]] = {
    "object": "main",
    "namespace": "team-a",
    "second": Obj("second", "team-a"),
    "foreign": Obj("foreign", "team-b"),
    "foreign_selector": Obj("borrows", "team-a"),
    "referent": Obj("referent", "team-b"),
    "bad_credentials": Obj("refused", "team-a"),
    "invalid": Obj("nonsense", "team-a"),
}
"""The config objects of a store with credentials, as fields of its `StoreTarget`."""


def generator_objects(name: str = "main", *, foreign: str | None = None) -> Mapping[str, Any]:
    """The config objects of a generator with credentials, as fields of its `GeneratorTarget`."""
    return {
        "object": name,
        "namespace": "team-a",
        "foreign": Obj(foreign or name, "team-b"),
        "foreign_selector": Obj("borrows", "team-a"),
        "invalid": Obj("nonsense", "team-a"),
    }


def made(api_version: str, kind: str, namespace: str, name: str, **more: Any) -> dict[str, Any]:
    """A manifest: `more` is what stands beside its metadata, such as spec or stringData."""
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **more}


def faults(prefix: str, *, hang: float = 25, slow: float | None = None, **more: str) -> Faults:
    """Keys that begin with `prefix` and make the backend misbehave; `hang` and `slow` are seconds, `more` further keys."""
    return Faults(
        timeout=f"{prefix}timeout",
        unavailable=f"{prefix}unavailable",
        denied=f"{prefix}denied",
        unauthenticated=f"{prefix}unauthenticated",
        rate_limited=f"{prefix}rate",
        oversize=f"{prefix}oversize",
        hang=Hang(f"{prefix}hang", hang),
        slow=None if slow is None else Hang(f"{prefix}slow", slow),
        **more,
    )


@contextmanager
def serving(
    module: str,
    folder: Path,
    manifests: Iterable[Mapping[str, Any]],
    environment: Mapping[str, str] | None = None,
) -> Iterator[Served]:
    """The provider over these manifests, below `folder`. It has to end with 0."""
    (folder / "manifests").mkdir()
    (folder / "manifests" / "all.yaml").write_text(yaml.safe_dump_all(manifests))
    running = Served(module, folder, folder / "manifests", environment)
    running.start()
    yield running
    status = running.stop()
    assert status == 0, f"{module} ended with {status}"


def target(
    served: Served,
    name: str,
    *,
    stores: tuple[StoreTarget, ...] = (),
    generators: tuple[GeneratorTarget, ...] = (),
    known_failures: Mapping[str, str] | None = None,
) -> Target:
    """The provider that is served, with what it serves."""
    http = f"http://127.0.0.1:{served.http_port}"
    return Target(
        name=name,
        endpoint=served.endpoint,
        tls=served.tls,
        stores=stores,
        generators=generators,
        metrics_url=f"{http}/metrics",
        health_url=f"{http}/healthz",
        process=served,
        known_failures=known_failures or {},
    )
