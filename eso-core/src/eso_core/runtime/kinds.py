"""Which installed provider serves which kind, and how it is started: told by the distributions' metadata alone, so that no
provider is imported.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points

from eso_core.api.stores import Store

GROUP = "external_secrets.kinds"


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider that can be started with `python -m MODULE serve`."""

    module: str
    distribution: str


def installed() -> Mapping[str, Provider]:
    """Providers by the kinds they serve, as `GROUP/VERSION/KIND`."""
    found = {}
    for point in entry_points(group=GROUP):
        module = point.value.partition(":")[0].removesuffix(".__main__")
        found[point.name] = Provider(module, point.dist.name if point.dist is not None else module)
    return found


def kind_of(store: Store) -> str:
    """The kind of configuration object that a store leads to, as `GROUP/VERSION/KIND`."""
    return f"{store.provider_api_version}/{store.spec.provider_config.provider_ref.kind}"


@dataclass(frozen=True, slots=True)
class Needed:
    """Which providers a folder needs, under which addresses, and what can't be had."""

    addresses: Mapping[str, Provider]
    """By address as written in the manifests."""
    problems: Mapping[tuple[str, str], str]
    """Why a kind at an address has no provider there."""

    def hosts(self) -> Mapping[Provider, frozenset[str]]:
        """The host names under which each provider is addressed."""
        hosts: dict[Provider, set[str]] = {}
        for address, provider in self.addresses.items():
            hosts.setdefault(provider, set()).add(address.rpartition(":")[0].strip("[]"))
        return {provider: frozenset(names) for provider, names in hosts.items()}


def needed(stores: Iterable[Store], kinds: Mapping[str, Provider]) -> Needed:
    """What `stores` need. In a cluster an address is one provider, so it is one here too."""
    addresses: dict[str, Provider] = {}
    problems: dict[tuple[str, str], str] = {}
    for store in stores:
        address, kind = store.spec.provider_config.address, kind_of(store)
        provider = kinds.get(kind)
        if provider is None:
            known = ", ".join(sorted({name.rpartition("/")[2] for name in kinds})) or "none"
            problems[address, kind] = (
                f"no installed provider serves {kind}: install the one that does (pip install provider-...), or correct "
                f"providerRef (served kinds: {known})"
            )
        elif addresses.setdefault(address, provider) != provider:
            problems[address, kind] = (
                f"address {address} is used for kinds of {addresses[address].distribution} and of {provider.distribution}: an "
                "address is one provider, so give the other one its own"
            )
    return Needed(addresses, problems)
