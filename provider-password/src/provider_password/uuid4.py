"""UUID: a random (version 4) UUID. It has no settings, so it works also where its object does not exist."""

from __future__ import annotations

import uuid
from typing import ClassVar

from provider_common import Alias, Context, Generated, GeneratorV2, Spec


class UUIDSpec(Spec):
    """A random UUID. There is nothing to set."""

    kind: ClassVar[str] = "UUID"
    aliases: ClassVar[tuple[Alias, ...]] = (Alias("generators.external-secrets.io/v1alpha1", "UUID"),)


class UUIDGenerator(GeneratorV2[UUIDSpec]):
    """Answers `uuid`: lower case, with hyphens."""

    needs_object = False

    def generate(self, ctx: Context[UUIDSpec]) -> Generated:
        """Make a UUID from the operating system's random source."""
        return Generated({"uuid": str(uuid.uuid4()).encode()})
