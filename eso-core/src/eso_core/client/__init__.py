"""Calls providers over gRPC with mutual TLS. The only place in this distribution that knows grpc and protobuf."""
