"""`python -m provider_aws serve`."""

from provider_common import serve

from provider_aws import KINDS


def main() -> None:
    """Run the provider's command line."""
    serve(*KINDS, name="provider-aws")


if __name__ == "__main__":
    main()
