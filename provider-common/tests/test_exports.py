"""The public surface. Growth is seen in this file's diff."""

import types

import provider_common
from provider_common import testing


def test_all_is_what_is_exported() -> None:
    exported = {
        name
        for name, value in vars(provider_common).items()
        if not name.startswith("_")
        and not (isinstance(value, types.ModuleType) and name not in {"gjson", "sjson"})
    }
    assert exported == set(provider_common.__all__)


def test_the_number_of_names_is_known() -> None:
    """Each name costs for years: raise this number on purpose."""
    assert len(provider_common.__all__) == 57


def test_the_testing_tools_are_these() -> None:
    assert testing.__all__ == [
        "CertFolder",
        "Failure",
        "FakeKube",
        "GeneratorHandle",
        "ProviderHarness",
        "StoreHandle",
        "issue_certs",
    ]


def test_importing_the_sdk_does_not_load_the_kubernetes_client() -> None:
    """It is heavy, and a folder of manifests needs none of it."""
    import subprocess
    import sys

    code = "import sys, provider_common; print([m for m in ('kubernetes', 'urllib3', 'requests', 'boto3') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
