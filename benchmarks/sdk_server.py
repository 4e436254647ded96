"""A provider whose backend is a dictionary: what the SDK itself costs, and nothing else. Run as a process by `run`."""

from __future__ import annotations

from typing import ClassVar, Self

from provider_common import Context, NoSecretError, ProviderV2, RemoteRef, Spec, serve


class MemorySpec(Spec):
    """Nothing to set."""

    kind: ClassVar = "Memory"


class MemoryStore(ProviderV2[MemorySpec]):
    """Sixty-four bytes under every key that starts with `k`. Counts its reads as calls of a backend."""

    def __init__(self, ctx: Context[MemorySpec]) -> None:
        self._ctx = ctx

    @classmethod
    def open(cls, ctx: Context[MemorySpec]) -> Self:
        return cls(ctx)

    def get_secret(self, ref: RemoteRef) -> bytes:
        with self._ctx.api_call("Memory", "Get"):
            if not ref.key.startswith("k"):
                raise NoSecretError(ref.key)
            return b"x" * 64


if __name__ == "__main__":
    serve(MemoryStore, name="provider-memory")
