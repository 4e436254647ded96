"""The pytest plugin: every real server as a session fixture that starts when the first test asks for it.

A server comes from an address in the environment, a binary at hand, or a build. Where none of these is possible the
test is skipped with a text that says what would end the skip, or fails if REQUIRE_REAL_SERVERS=1 is set.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from eso_e2e import servers

if TYPE_CHECKING:
    from eso_e2e.kube import KubeApiserver
    from eso_e2e.kube_api import KubeApi

ENV_KUBECONFIG = "ESO_E2E_KUBECONFIG"

GoBinary = Callable[[str], Path]


@contextmanager
def to_be_had() -> Iterator[None]:
    """Turn "can't be had on this machine" into a skip, or into a failure where real servers are required."""
    try:
        yield
    except servers.NotToBeHadError as error:
        if servers.required():
            pytest.fail(f"{servers.REQUIRE} is set, and {error}", pytrace=False)
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def server_progress(pytestconfig: pytest.Config) -> servers.Progress:
    """Prints past pytest's capturing: a build of minutes must not look like a test that hangs."""
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")

    def progress(line: str) -> None:
        if capture is None:
            servers.say(f"eso-e2e: {line}")
            return
        with capture.global_and_fixture_disabled():
            servers.say(f"\neso-e2e: {line}")

    return progress


@pytest.fixture(scope="session")
def go_binary(server_progress: servers.Progress) -> GoBinary:
    """A function from the name of a program in `e2e/servers` to its binary."""

    def find(name: str) -> Path:
        with to_be_had():
            return servers.find(name, progress=server_progress)

    return find


@pytest.fixture(scope="session")
def kube_apiserver(server_progress: servers.Progress) -> Iterator[KubeApiserver]:
    """A kube-apiserver with etcd of this test process's own: it may be stopped, restarted and have its history cut."""
    from eso_e2e.kube import KubeApiserver

    with to_be_had():
        server = KubeApiserver(progress=server_progress)
    with server:
        yield server


@pytest.fixture(scope="session")
def kube_api(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubeApi]:
    """The API server of ESO_E2E_KUBECONFIG if that is set, else `kube_apiserver`: for tests that only use it."""
    from eso_e2e.kube_api import KubeApi

    named = os.environ.get(ENV_KUBECONFIG)
    if not named:
        yield request.getfixturevalue("kube_apiserver")
        return
    api = KubeApi.from_kubeconfig(Path(named), tmp_path_factory.mktemp("kube"))
    yield api
    api.close()
