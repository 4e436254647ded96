"""Fake: a store and a generator whose values stand in their own manifests, and which misbehave on request."""

from provider_contrib.fake.generator import FakeGenerator
from provider_contrib.fake.store import FakeStore

__all__ = ["FakeGenerator", "FakeStore"]
