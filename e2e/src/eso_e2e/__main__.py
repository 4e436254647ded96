"""`python -m eso_e2e list` shows which servers are ready; `build [NAME...]` makes those that are not."""

from __future__ import annotations

import argparse
import sys

from eso_e2e import servers
from eso_e2e.modules import PROGRAMS


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m eso_e2e", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="show every server and where it would come from")
    build = commands.add_parser("build", help="build servers, one at a time; all of them if none is named")
    build.add_argument("names", nargs="*", metavar="NAME", help=f"one of: {', '.join(PROGRAMS)}")
    path = commands.add_parser("path", help="print the path of a server's binary, building it if need be")
    path.add_argument("name", choices=list(PROGRAMS))
    arguments = parser.parse_args(argv)
    try:
        match arguments.command:
            case "list":
                for name in PROGRAMS:
                    found, words = servers.locate(name)
                    print(f"{name:<16}{words:<34}{found or ''}".rstrip())
            case "path":
                print(servers.find(arguments.name))
            case _:
                unknown = [name for name in arguments.names if name not in PROGRAMS]
                if unknown:
                    parser.error(f"no such server: {', '.join(unknown)}; known: {', '.join(PROGRAMS)}")
                for name in arguments.names or PROGRAMS:
                    print(f"{name:<16}{servers.find(name)}")
    except (servers.NotToBeHadError, servers.BuildError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
