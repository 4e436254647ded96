"""The conformance suite: one judge for every out-of-tree secret provider, in any language.

It knows the contract (docs/contract.md) and the wire (`provider_proto`), and nothing of any provider or SDK: a suite that
shares code with what it judges shares its bugs.

Public: the base classes to subclass, the objects that describe a target, and what reads them from a file. Loaded on demand, because pytest imports this
package wherever it is installed.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from provider_conformance.suite import GeneratorConformance, SecretStoreConformance
    from provider_conformance.target import (
        Existing,
        Faults,
        GeneratorTarget,
        Hang,
        Limits,
        Obj,
        Process,
        Seeder,
        StoreTarget,
        Target,
        TargetError,
        Tls,
    )
    from provider_conformance.targetfile import load_target

__all__ = [
    "Existing",
    "Faults",
    "GeneratorConformance",
    "GeneratorTarget",
    "Hang",
    "Limits",
    "Obj",
    "Process",
    "SecretStoreConformance",
    "Seeder",
    "StoreTarget",
    "Target",
    "TargetError",
    "Tls",
    "load_target",
]


def __getattr__(name: str) -> Any:
    """Load what is asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    home = "suite" if name.endswith("Conformance") else "targetfile" if name == "load_target" else "target"
    return getattr(import_module(f"provider_conformance.{home}"), name)
