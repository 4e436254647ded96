"""`python -m provider_vault serve`."""

from provider_common import serve

from provider_vault import KINDS


def main() -> None:
    """Run the provider's command line."""
    serve(*KINDS, name="provider-vault")


if __name__ == "__main__":
    main()
