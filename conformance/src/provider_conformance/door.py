"""The module that pytest collects when `--provider-endpoint` is given: everything about the target of the command line."""

from __future__ import annotations

import pytest

from provider_conformance.plugin import target_of_command_line
from provider_conformance.suite import EveryConformance
from provider_conformance.target import Target


@pytest.fixture(scope="module")
def target(request: pytest.FixtureRequest) -> Target:
    """What the command line says."""
    return target_of_command_line(request.config)


class TestProvider(EveryConformance):  # type: ignore[misc,valid-type]  # made by a function
    """The provider at `--provider-endpoint`."""
