"""A reference core for stores and generators that live out of tree: ExternalSecrets in, Secrets out.

`api` is what users write, `reconcile` decides (pure: no grpc, no files), `client` calls providers, `runtime` is where it
runs. Today that is a folder of manifests.
"""
