"""The SDK for out-of-tree secret providers."""
