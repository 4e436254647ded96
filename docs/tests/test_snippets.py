"""What the documentation shows is what runs: snippets of Python are tested code, manifests are accepted by the models."""

from __future__ import annotations

import importlib
import re
import textwrap
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
import yaml
from hello import HelloStore, PinGenerator
from provider_common.catalog import Catalog

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*/README.md"), *ROOT.glob("examples/*/README.md"), *ROOT.glob("docs/*.md")])
TESTED = sorted((ROOT / "examples/hello-provider").glob("*.py"))
PROVIDERS = sorted(
    path.parent.name for path in ROOT.glob("provider-*/README.md") if path.parent.name != "provider-common"
)
OURS = re.compile(r"^(provider\.(secretstore|generator)|provider|generators)\.external-secrets\.io/")


def blocks(page: Path, language: str) -> Iterator[tuple[int, str]]:
    """Every fenced block of `language` with the number of its first line."""
    text = page.read_text(encoding="utf-8")
    for match in re.finditer(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield text.count("\n", 0, match.start()) + 2, match[1]


def each(language: str, pages: list[Path]) -> list[Any]:
    return [
        pytest.param(block, id=f"{page.relative_to(ROOT)}:{line}")
        for page in pages
        for line, block in blocks(page, language)
    ]


@pytest.mark.parametrize("block", each("python", [ROOT / "docs/write-a-provider.md"]))
def test_every_snippet_of_the_tutorial_is_tested_code(block: str) -> None:
    """Line for line, with its indentation; so it can't go stale."""
    assert any(f"\n{block}" in f"\n{path.read_text(encoding='utf-8')}" for path in TESTED), textwrap.shorten(
        block, 200
    )


def test_the_tutorial_shows_all_of_the_provider() -> None:
    """A reader who copies every block has the whole file."""
    page = ROOT / "docs/write-a-provider.md"
    shown = {line for _, block in blocks(page, "python") for line in block.splitlines() if line.strip()}
    code = (ROOT / "examples/hello-provider/hello.py").read_text(encoding="utf-8").splitlines()

    assert [line for line in code[1:] if line.strip() and line not in shown] == []


def models() -> dict[str, Any]:
    packages = {e.value.partition(".")[0] for e in entry_points(group="external_secrets.kinds")}
    kinds = [kind for package in sorted(packages) for kind in importlib.import_module(package).KINDS]
    return {kind.title: kind.spec for kind in Catalog(*kinds, HelloStore, PinGenerator)}


@pytest.mark.parametrize("block", each("yaml", PAGES))
def test_every_manifest_shown_is_accepted(block: str) -> None:
    """An object of ours parses as the provider would parse it; everything else is at least an object."""
    for manifest in yaml.safe_load_all(block):
        assert {"apiVersion", "kind", "metadata"} <= set(manifest), "a yaml block has to be a whole manifest"
        if OURS.match(manifest["apiVersion"]):
            models()[f"{manifest['apiVersion']}/{manifest['kind']}"].parse(manifest["spec"], where="shown")


def test_readmes_of_providers_show_manifests() -> None:
    """Otherwise the test above would pass for nothing."""
    shown = {page.parent.name for page in PAGES if next(blocks(page, "yaml"), None)}

    assert {"provider-password", "provider-contrib", "hello-provider"} <= shown


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_readme_names_every_field(provider: str) -> None:
    """A field that nobody is told of is not there."""
    text = (ROOT / provider / "README.md").read_text(encoding="utf-8")
    package = importlib.import_module(provider.replace("-", "_"))
    fields = {name for kind in package.KINDS for name in _fields(kind.spec)}

    assert sorted(name for name in fields if not re.search(rf"\b{name}\b", text)) == []


def _fields(model: Any) -> Iterator[str]:
    schema = model.model_json_schema(by_alias=True)
    for part in (schema, *schema.get("$defs", {}).values()):
        if part.get("title") != "SecretKeySelector":
            yield from part.get("properties", {})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """To files that exist; addresses on the network are not asked."""
    text = page.read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text)

    assert [t for t in targets if "://" not in t and not (page.parent / t).exists()] == []
