"""The least that grpcio can do: the same service, message, threads and TLS, and a handler that answers a constant."""

from __future__ import annotations

import json
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
from provider_proto.provider.v1 import secretstore_pb2 as pb


def main(tls: Path, ready: Path) -> None:
    """Serve on a free port until SIGTERM."""
    key, cert, ca = ((tls / name).read_bytes() for name in ("tls.key", "tls.crt", "ca.crt"))
    credentials = grpc.ssl_server_credentials([(key, cert)], root_certificates=ca, require_client_auth=True)
    server = grpc.server(ThreadPoolExecutor(128))
    answer = pb.GetSecretResponse(value=b"x" * 64)
    handler = grpc.unary_unary_rpc_method_handler(
        lambda _request, _context: answer,
        pb.GetSecretRequest.FromString,
        pb.GetSecretResponse.SerializeToString,
    )
    service = grpc.method_handlers_generic_handler("provider.v1.SecretStoreProvider", {"GetSecret": handler})
    server.add_generic_rpc_handlers((service,))
    port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    ready.write_text(json.dumps({"port": port}))
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    stop.wait()
    server.stop(1).wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
