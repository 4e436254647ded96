"""The door for those who have the code: base classes whose test methods are the checks, one method per check.

A provider's own tests say what the target is, and subclass one::

    @pytest.fixture(scope="module")
    def target(served: Served) -> Target:
        return Target(endpoint=served.address, tls=served.client_tls, stores=(...))

    class TestConformance(SecretStoreConformance):
        pass

A subclass can't change a check: that raises TypeError where the class is written. A known failure is declared in the
target, with its reason. What a run removed or skipped all the same fails it; see `plugin`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from provider_conformance.registry import Check, Role, all_checks

ATTRIBUTE = "provider_conformance_check"
"""Attribute of a test method that holds its check."""


def _method(check: Check) -> Callable[[Any, Any], None]:
    def test(self: Any, conformance: Any) -> None:  # noqa: ARG001 - a test method
        conformance(check)

    test.__name__ = check.method_name
    test.__doc__ = check.body.__doc__
    setattr(test, ATTRIBUTE, check)
    return test


class Conformance:
    """What both base classes have in common. Not to be subclassed by providers."""

    roles: ClassVar[frozenset[Role]] = frozenset()
    checks: ClassVar[dict[str, Callable[[Any, Any], None]]] = {}
    """Name of every test method that a subclass has to have, and the method itself."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        changed = sorted(
            name for name, method in cls.checks.items() if getattr(cls, name, None) is not method
        )
        if changed:
            raise TypeError(
                f"{cls.__name__} overrides {', '.join(changed)}: a check can't be changed;"
                " declare it in the target's known_failures, with the reason"
            )


def _base(name: str, doc: str, roles: frozenset[Role]) -> type[Conformance]:
    methods = {check.method_name: _method(check) for check in all_checks() if check.role in roles}
    # The methods are set after the class is made: its own `__init_subclass__` must not take them for changes.
    made: type[Conformance] = type(
        name, (Conformance,), {"__doc__": doc, "__module__": __name__, "roles": roles}
    )
    for method_name, method in methods.items():
        setattr(made, method_name, method)
    made.checks = methods
    return made


SecretStoreConformance = _base(
    "SecretStoreConformance",
    "Judges the stores of a target, and the server that serves them.",
    frozenset({"server", "store", "writable"}),
)
GeneratorConformance = _base(
    "GeneratorConformance",
    "Judges the generators of a target, and the server that serves them.",
    frozenset({"server", "generator"}),
)
EveryConformance = _base(
    "EveryConformance",
    "Judges everything that a target names.",
    frozenset({"server", "store", "writable", "generator"}),
)

__all__ = ["Conformance", "EveryConformance", "GeneratorConformance", "SecretStoreConformance"]
