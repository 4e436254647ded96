"""`provider-contrib`: serves the community's kinds."""

from provider_common import serve

from provider_contrib import KINDS


def main() -> None:
    """Run the command line."""
    serve(*KINDS, name="provider-contrib")


if __name__ == "__main__":
    main()
