"""`provider-password`: serves the password-like generators."""

from provider_common import serve

from provider_password import KINDS


def main() -> None:
    """Run the command line."""
    serve(*KINDS, name="provider-password")


if __name__ == "__main__":
    main()
