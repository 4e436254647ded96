"""In what the Go providers differ from this contract, by dialect: known, documented, and no reason to call them broken.

A difference excuses a failure only where the target says that the peer is a Go server (`differences_of`). Such a failure
is reported as a known difference, with the text below; a check that passes after all is simply passed.
"""

from __future__ import annotations

from typing import Final

_UNKNOWN = "a Go server answers UNKNOWN with free text for everything but an absent secret"
_BOUNDARY = "a Go server enforces no namespace boundary; the core and its admission webhook have to"
_ANY_SIZE = "a Go server sends answers of any size, and the caller's gRPC library refuses them"
_FIXED = "a Go server loads its certificates once, at start"

_BOTH: Final = {
    "transport.leaf-reload": _FIXED,
    "transport.ca-reload": _FIXED,
    "transport.half-written-files": _FIXED,
    "transport.health-per-service": "a Go server registers health for the empty service name only",
    "get.missing-property": _UNKNOWN,
    "get.property-of-text": _UNKNOWN,
    "get.missing-version": "a Go fake looks key and version up as one name",
    "map.missing-property": _UNKNOWN,
    "map.not-an-object": _UNKNOWN,
    "find.bad-pattern": _UNKNOWN,
    "find.lookaround-refused": _UNKNOWN,
    "find.unsupported-selector": _UNKNOWN,
    "find.no-selector": _UNKNOWN,
    "write.missing-secret-key": _UNKNOWN,
    "write.bad-metadata": _UNKNOWN,
    "write.unknown-metadata": _UNKNOWN,
    "write.no-remote-key": _UNKNOWN,
    "validate.missing-object": _UNKNOWN,
    "validate.bad-credentials": _UNKNOWN,
    "validate.invalid-settings": _UNKNOWN,
    "validate.foreign-denied": _BOUNDARY,
    "capabilities.unknown-kind": _UNKNOWN,
    "capabilities.read-only-refuses-writes": _UNKNOWN,
    "generate.missing-object": _UNKNOWN,
    "generate.unknown-kind": _UNKNOWN,
    "generate.no-reference": _UNKNOWN,
    "generate.empty-source": "a Go server does not ask for a source namespace in Generate and Cleanup",
    "generate.foreign-denied": _BOUNDARY,
    "generate.invalid-settings": _UNKNOWN,
    "cleanup.foreign-state": _UNKNOWN,
    "cleanup.missing-object": _UNKNOWN,
    "errors.missing-object": _UNKNOWN,
    "errors.unknown-kind": _UNKNOWN,
    "errors.no-reference": _UNKNOWN,
    "errors.no-body": _UNKNOWN,
    "errors.bad-api-version": _UNKNOWN,
    "get.empty-key": _UNKNOWN,
    "errors.backend-timeout": _UNKNOWN,
    "errors.backend-unavailable": _UNKNOWN,
    "errors.denied": _UNKNOWN,
    "errors.rate-limited": _UNKNOWN,
    "errors.bad-credentials": _UNKNOWN,
    "errors.invalid-settings": _UNKNOWN,
    "errors.names-the-thing": "a Go server has one text for every absent secret, without its key",
    "errors.one-line": "a Go server puts names into its texts as they are",
    "errors.short": "a Go server puts names into its texts at full length; grpc-go accepts 16 MiB of metadata",
    "namespaces.empty-source": _UNKNOWN,
    "namespaces.foreign-object-denied": _BOUNDARY,
    "namespaces.foreign-hidden": _BOUNDARY,
    "namespaces.foreign-denied-everywhere": _BOUNDARY,
    "namespaces.unknown-kind-is-namespaced": _BOUNDARY,
    "namespaces.no-kind-is-namespaced": _BOUNDARY,
    "namespaces.other-dialect-is-namespaced": _BOUNDARY,
    "namespaces.foreign-object": _BOUNDARY,
    "namespaces.foreign-selector-denied": "a Go server ignores a namespace written in a namespaced store's selector",
    "namespaces.denial-names-both": _BOUNDARY,
    "hostile.garbage": "grpc-go answers INTERNAL for a message that it can't parse",
    "hostile.truncated": "grpc-go answers INTERNAL for a message that it can't parse",
    "hostile.bad-utf8": "grpc-go answers INTERNAL for a message that it can't parse",
    "hostile.empty-messages": _UNKNOWN,
    "hostile.fuzzed": _UNKNOWN,
    "hostile.fuzzed-bytes": _UNKNOWN,
    "hostile.odd-references": _UNKNOWN,
    "hostile.odd-keys": _UNKNOWN,
    "hostile.odd-properties": _UNKNOWN,
    "hostile.huge-key": _UNKNOWN,
    "hostile.odd-patterns": _UNKNOWN,
    "transport.too-large-answer": _ANY_SIZE,
    "find.over-four-mib": _ANY_SIZE,
}

_P_ABSENT = (
    "a P-dialect server answers UNKNOWN for an absent secret; the text ends in 'Secret does not exist'"
)

_P_ONLY: Final = dict.fromkeys(
    (
        "get.missing-key",
        "get.no-prefix-match",
        "map.missing-key",
        "write.then-absent",
        "delete.removes",
        "namespaces.cluster-selector-honoured",
        "tenants.write-stays",
        "concurrency.parallel-absent",
        "deadlines.other-store-while-hanging",
    ),
    _P_ABSENT,
)

DIFFERENCES: Final[dict[str, dict[str, str]]] = {"s": _BOTH, "p": {**_BOTH, **_P_ONLY}}
"""Dialect -> check id -> what the difference is."""
