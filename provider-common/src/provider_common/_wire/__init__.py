"""The wire: protobuf and grpc on one side, the author's interface on the other. Nothing else in the SDK knows either."""
