"""`python -m provider_gcp serve`."""

from provider_common import serve

from provider_gcp import KINDS


def main() -> None:
    """Run the provider's command line."""
    serve(*KINDS, name="provider-gcp")


if __name__ == "__main__":
    main()
