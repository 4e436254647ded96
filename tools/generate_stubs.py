"""Make the committed Python stubs from the .proto files. Run by `make generate`; needs grpcio-tools."""

from __future__ import annotations

import sys
from importlib import resources
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
PROTO = ROOT / "proto"
SOURCES = sorted(p.relative_to(PROTO) for p in PROTO.glob("*/v1/*.proto"))


def main(out: Path) -> int:
    """Write the stubs below `out`; the stubs import each other as `provider_proto.…`."""
    arguments = [
        "protoc",
        # The virtual prefix makes the generated imports absolute inside our one package.
        f"-Iprovider_proto={PROTO}",
        f"-I{resources.files('grpc_tools') / '_proto'}",
        f"--python_out={out}",
        f"--pyi_out={out}",
        *(f"provider_proto/{source}" for source in SOURCES),
    ]
    if protoc.main(arguments) != 0:
        return 1
    for source in SOURCES:
        for folder in (out / "provider_proto" / source.parent, out / "provider_proto" / source.parent.parent):
            marker = folder / "__init__.py"
            if not marker.exists():
                marker.write_text("", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else PROTO / "src"))
