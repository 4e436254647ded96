"""The conformance suite: one judge for every out-of-tree secret provider, in any language.

It knows the contract (docs/contract.md) and the wire (`provider_proto`), and nothing of any provider or SDK: a suite that
shares code with what it judges shares its bugs.
"""
