"""What a core decides: manifests and what is there go in, calls to providers are made through a protocol, an outcome comes
out. No grpc, no files, no clock: whoever runs it brings these, so a folder and a cluster run the same decisions.
"""
