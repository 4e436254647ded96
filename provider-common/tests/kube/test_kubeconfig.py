"""How a ClusterReader finds its cluster, and what it says when it can't. No API server is asked."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from provider_common._kube_cluster import ClusterReader, NoClusterError

CANARY = "c4nary-v4lue"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        pytest.param(None, "No configuration found.", id="missing"),
        pytest.param("", "file is empty", id="empty"),
        pytest.param("a: [", "it is not valid YAML", id="no YAML"),
        pytest.param(
            f"contexts: [{CANARY}]\ncurrent-context: c\n",
            "it has not the form that kubectl writes",
            id="no kubeconfig",
        ),
        pytest.param("apiVersion: v1\nusers: []\n", "Expected key current-context", id="no context"),
    ],
)
def test_an_unusable_kubeconfig_is_named(tmp_path: Path, content: str | None, text: str) -> None:
    """A wrong path shows up at start, not as a provider that never gets ready."""
    path = tmp_path / "config"
    if content is not None:
        path.write_text(content)

    with pytest.raises(NoClusterError, match=f"kubeconfig {path} can't be used to reach a cluster: .*{text}"):
        ClusterReader(path)


def test_a_folder_in_place_of_a_kubeconfig_is_named(tmp_path: Path) -> None:
    with pytest.raises(NoClusterError, match=f"kubeconfig {tmp_path} can't be used .*: Is a directory"):
        ClusterReader(tmp_path)


KUBECONFIG = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "c",
    "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
    "clusters": [{"name": "k", "cluster": {"server": "https://127.0.0.1:1"}}],
    "users": [{"name": "u", "user": {"token": CANARY}}],
}


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    members = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, member in members:
        yield from places(member, (*path, key))


@pytest.mark.parametrize("odd", [None, 5, "x", [], {}, [5], {"a": 1}, True, "\0", "two\nlines"], ids=repr)
def test_whatever_is_wrong_in_a_kubeconfig_is_one_line_without_the_token(tmp_path: Path, odd: object) -> None:
    """The client shows what it found in place of what it wanted: a user with his token."""
    path = tmp_path / "config"
    refused = []
    for place in places(KUBECONFIG):
        content: Any = {"all": copy.deepcopy(KUBECONFIG)}
        *way, last = ("all", *place)
        holder = content
        for key in way:
            holder = holder[key]
        holder[last] = odd
        path.write_text(yaml.safe_dump(content["all"]))
        try:
            ClusterReader(path, environ={})
        except NoClusterError as error:
            refused.append(str(error))
    assert refused
    assert all(str(path) in text and CANARY not in text and text.isprintable() for text in refused)


def test_without_any_configuration_the_ways_to_give_one_are_named(tmp_path: Path) -> None:
    """Outside a cluster most users want the folder."""
    with pytest.raises(NoClusterError, match="give --kubeconfig FILE, or --manifests DIR"):
        ClusterReader(environ={"HOME": str(tmp_path)})
