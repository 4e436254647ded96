"""The server programs that can be built here, and the pinned Go modules they are built from.

One folder below `e2e/servers` is one program; its go.mod and go.sum decide every line of code in it. The key of a
built program is the hash of those files, so a changed pin is a new program and an old one is never taken for it.
"""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from dataclasses import dataclass
from pathlib import Path

SOURCES = Path(__file__).resolve().parents[2] / "servers"

_SOURCE_NAMES = {"go.mod", "go.sum"}


@dataclass(frozen=True, kw_only=True)
class Program:
    """A program built from the Go module in `e2e/servers/<name>`."""

    name: str
    build_time: str
    """How long a first build takes on two cores, in words."""
    package: str = "."
    ldflags: str = ""
    image: str = ""
    """A container image that holds the same release, if one is published."""
    image_path: str = ""
    """Where the program lies in that image."""
    ours: bool = False
    """Whether the program is this repository's own, so that one of the same name on PATH is not it."""

    @property
    def folder(self) -> Path:
        """The folder of its Go module."""
        return SOURCES / self.name

    @property
    def env_name(self) -> str:
        """The environment variable that names a ready binary."""
        return f"ESO_E2E_{self.name.upper().replace('-', '_')}_BIN"

    def sources(self) -> list[Path]:
        """The files that decide what is built, in a fixed order."""
        return sorted(
            path
            for path in self.folder.rglob("*")
            if path.name in _SOURCE_NAMES or (path.suffix == ".go" and not path.name.endswith("_test.go"))
        )

    def key(self) -> str:
        """A hash of everything the binary depends on: sources, flags, operating system, architecture."""
        digest = hashlib.sha256()
        for path in self.sources():
            digest.update(f"{path.relative_to(self.folder).as_posix()}\0".encode())
            digest.update(path.read_bytes() + b"\0")
        digest.update(f"{self.package}\0{self.ldflags}\0{sys.platform}\0{platform.machine()}".encode())
        return digest.hexdigest()[:16]

    def cached(self) -> Path:
        """Where the built binary is kept, whether or not it is there yet."""
        return cache_folder() / f"{self.name}-{self.key()}"


def cache_folder() -> Path:
    """The folder of built servers: `$XDG_CACHE_HOME/eso-providers/servers`."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "eso-providers" / "servers"


_KUBE_VERSION = "k8s.io/component-base/version"

PROGRAMS = {
    program.name: program
    for program in (
        Program(
            name="etcd",
            build_time="1 min",
            image="gcr.io/etcd-development/etcd:v3.6.16",
            image_path="/usr/local/bin/etcd",
        ),
        Program(
            name="kube-apiserver",
            build_time="4 min",
            ldflags=" ".join(
                f"-X {_KUBE_VERSION}.{name}={value}"
                for name, value in (("gitVersion", "v1.36.3"), ("gitMajor", "1"), ("gitMinor", "36"))
            ),
            image="registry.k8s.io/kube-apiserver:v1.36.3",
            image_path="/usr/local/bin/kube-apiserver",
        ),
        Program(name="vault", build_time="7 min", image="hashicorp/vault:1.21.0", image_path="/bin/vault"),
        Program(
            name="ghz",
            build_time="30 s",
            package="github.com/bojand/ghz/cmd/ghz",
            ldflags="-X main.version=v0.120.0",
        ),
        Program(
            name="helm",
            build_time="2 min",
            package="helm.sh/helm/v3/cmd/helm",
            ldflags="-X helm.sh/helm/v3/internal/version.version=v3.22.0",
            image="alpine/helm:3.22.0",
            image_path="/usr/bin/helm",
        ),
        Program(name="ldap", build_time="20 s", ours=True),
        Program(name="go-peer", build_time="30 s", ours=True),
    )
}
"""Every program, by name, in the order in which `build` makes them."""
