"""Community providers, one sub-package each. `KINDS` is what this distribution serves."""

from provider_contrib.fake import FakeGenerator, FakeStore

KINDS = (FakeStore, FakeGenerator)

__all__ = ["KINDS", "FakeGenerator", "FakeStore"]
