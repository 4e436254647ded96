"""`Fault`: misbehaviour that a store or generator made for tests asks for. The wire carries it out.

A class takes part by defining `def fault(self, method: str, key: str) -> Fault | None`; no other kind is ever asked, so
the seam costs nothing in earnest. There is no port and no call that could switch a fault on from outside: whoever may
change the kind's own object decides.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with one call. The parts add up: a call may be slow and then fail."""

    latency: float = 0
    """Seconds to wait before anything else happens; the caller's deadline still ends the call."""
    hang: bool = False
    """Never answer: the call ends with its deadline."""
    status: str = ""
    """Name of a gRPC status code (`UNAVAILABLE`) to answer with; empty goes on."""
    message: str = ""
    """Text beside `status`; empty leaves the wording to the wire."""
    retry_after: float | None = None
    """Seconds that a caller is told to wait, beside `status`."""
    contract_version: str = ""
    """Contract version to claim in the answer's metadata, in place of the true one."""
    answer_bytes: int = 0
    """Size to which an answer's values are padded; 0 leaves them alone."""
