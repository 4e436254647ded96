"""Make every generated file, or with `--check` tell whether the committed ones are what would be made now.

Made: the protobuf stubs, the CRDs of every provider (`charts/<provider>/crds/`), and the tables in the docs that come from
code (between `<!-- generated:NAME -->` markers).
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import generate_stubs
from provider_common.catalog import Catalog
from provider_common.cli import settings_table
from provider_common.crd import crds_yaml

ROOT = Path(__file__).resolve().parent.parent
PROVIDERS = ("provider-password", "provider-contrib", "provider-vault", "provider-aws", "provider-gcp")
_BLOCK = re.compile(r"(<!-- generated:(?P<name>[\w:-]+) -->\n).*?(\n<!-- /generated -->)", re.DOTALL)


def main() -> int:
    """0 when everything is fresh, or was made."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing; fail when something is stale")
    check = parser.parse_args().check
    stale = []
    for path, content in _everything():
        target = ROOT / path
        found = target.read_text(encoding="utf-8") if target.exists() else ""
        if found == content:
            continue
        stale.append(path)
        if check:
            diff = difflib.unified_diff(
                found.splitlines(), content.splitlines(), f"{path} (committed)", path, lineterm=""
            )
            print("\n".join(list(diff)[:20]))
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(content, encoding="utf-8")
            print(f"made {path}")
    if check and stale:
        print(f"stale: {', '.join(map(str, stale))}\nrun: make generate")
        return 1
    return 0


def _everything() -> Iterator[tuple[str, str]]:
    yield from _stubs()
    for provider in PROVIDERS:
        kinds = importlib.import_module(provider.replace("-", "_")).KINDS
        yield f"charts/{provider}/crds/{provider}.yaml", crds_yaml(*kinds, aliases=False)
    tables = {"settings": settings_table(), **_kinds()}
    for path in sorted([*ROOT.glob("docs/**/*.md"), *ROOT.glob("*/README.md"), ROOT / "README.md"]):
        text = path.read_text(encoding="utf-8")
        made = _BLOCK.sub(lambda block: f"{block[1]}{tables[block['name']]}{block[3]}", text)
        if made != text or _BLOCK.search(text):
            yield str(path.relative_to(ROOT)), made


def _stubs() -> Iterator[tuple[str, str]]:
    with tempfile.TemporaryDirectory() as folder:
        if generate_stubs.main(Path(folder)) != 0:
            raise SystemExit("the stubs can't be made")
        for path in sorted(Path(folder).rglob("*_pb2*")):
            yield f"proto/src/{path.relative_to(folder)}", path.read_text(encoding="utf-8")


def _kinds() -> dict[str, str]:
    """Per provider, the kinds it serves."""
    tables = {}
    for provider in PROVIDERS:
        rows = ["| kind | group and version | role | can | stands for |", "|---|---|---|---|---|"]
        for kind in Catalog(*importlib.import_module(provider.replace("-", "_")).KINDS):
            can = kind.capabilities or ", ".join(kind.methods)
            alias = f"`{kind.alias_of.rsplit('/', 1)[1]}`" if kind.alias_of else ""
            rows.append(f"| `{kind.kind}` | `{kind.api_version}` | {kind.role} | {can} | {alias} |")
        tables[f"kinds:{provider}"] = "\n".join(rows)
    return tables


if __name__ == "__main__":
    sys.exit(main())
