"""A type of configuration object that nobody else has, and readers that are always closed."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml
from eso_e2e.kube_api import KubeApi
from provider_common._kube_cluster import ClusterReader, Pace
from provider_common.crd import crd
from provider_common.kube import KubeObject, ServedType
from provider_common.spec import Spec

QUICK = Pace(first_pause=0.05, longest_pause=0.5, absent_pause=0.5)


class ThingSpec(Spec):
    """Something to configure."""

    kind: ClassVar = "Thing"
    size: int = 1
    note: str = ""


@dataclass(frozen=True)
class Things:
    """A type of objects in an API group of its own."""

    api: KubeApi
    group: str
    namespace: str

    @property
    def api_version(self) -> str:
        return f"{self.group}/v1"

    def served(self, *, optional: bool = False) -> ServedType:
        return ServedType(self.api_version, "Thing", "things", optional=optional)

    def install(self) -> None:
        model = type("ThingSpec", (ThingSpec,), {"api_version": self.api_version, "__module__": __name__})
        self.api.apply(crd(model, role="store"))

    def manifest(self, name: str, *, labels: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
        metadata = {"name": name, "namespace": self.namespace, "labels": labels or {}}
        return {"apiVersion": self.api_version, "kind": "Thing", "metadata": metadata, "spec": spec}

    def apply(self, name: str, *, labels: dict[str, str] | None = None, **spec: Any) -> None:
        self.api.apply(self.manifest(name, labels=labels, **spec))

    def delete(self, name: str) -> None:
        self.api.delete(self.manifest(name))

    def seen_by(self, reader: ClusterReader, name: str) -> KubeObject | None:
        return reader.get_object(self.api_version, "Thing", self.namespace, name)

    def size_seen_by(self, reader: ClusterReader, name: str) -> int | None:
        found = self.seen_by(reader, name)
        return None if found is None else int(found.spec["size"])


Open = Callable[..., ClusterReader]


@pytest.fixture
def open_reader() -> Iterator[Open]:
    """Makes readers: a kubeconfig, and what ClusterReader takes besides. A pace for tests unless another is given."""
    made: list[ClusterReader] = []

    def make(kubeconfig: Path | None, types: tuple[ServedType, ...] = (), **options: Any) -> ClusterReader:
        reader = ClusterReader(kubeconfig, **{"pace": QUICK, **options})
        made.append(reader)
        reader.start(types)
        return reader

    yield make
    for reader in made:
        reader.close()


def things_of(api: KubeApi) -> Things:
    return Things(api, f"g{secrets.token_hex(4)}.example.com", api.create_namespace())


@pytest.fixture
def things(kube_api: KubeApi) -> Things:
    """For tests that only use the API server."""
    return things_of(kube_api)


def through(kubeconfig: Path, address: str, folder: Path) -> Path:
    """A copy of `kubeconfig` that reaches the API server by a proxy at `address`."""
    content = yaml.safe_load(kubeconfig.read_text())
    content["clusters"][0]["cluster"]["server"] = f"https://{address}"
    path = folder / "proxied.kubeconfig"
    path.write_text(yaml.safe_dump(content))
    return path


def eventually(condition: Callable[[], object], *, seconds: float = 60) -> None:
    """Poll until `condition` holds."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, f"did not happen within {seconds} s"
        pause.wait(0.05)
