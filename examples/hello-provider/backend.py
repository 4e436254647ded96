"""The service that hello.py reads from: values by key, for who knows the token.

`python backend.py` serves at http://127.0.0.1:8200. `python backend.py seed` puts a value into it or removes one, as the
conformance suite asks on standard input.
"""

import base64
import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote, unquote

import urllib3


class Service(ThreadingHTTPServer):
    request_queue_size = 128

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.values = {"greeting": b'{"en": "hello"}', "a/b c": b"\x00\xff"}
        self.token = "open-sesame"  # noqa: S105 - no secret
        self.broken = False
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Service
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        key = unquote(self.path.removeprefix("/v1/"))
        self.server.asked.append(key)
        if self.server.broken:
            return self.answer(500)
        if self.headers["Authorization"] != f"Bearer {self.server.token}":
            return self.answer(403)
        return self.answer(200, self.server.values[key]) if key in self.server.values else self.answer(404)

    def do_PUT(self) -> None:
        value = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.values[unquote(self.path.removeprefix("/v1/"))] = value
        self.answer(200, b"")

    def do_DELETE(self) -> None:
        self.server.values.pop(unquote(self.path.removeprefix("/v1/")), None)
        self.answer(200, b"")

    def answer(self, status: int, body: bytes = b"not for your eyes") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


def seed() -> None:
    """One JSON document: `op` is put or delete."""
    asked = json.load(sys.stdin)
    url = f"{os.environ.get('HELLO_URL', 'http://127.0.0.1:8200')}/v1/{quote(asked['key'], safe='')}"
    if asked["op"] == "put":
        urllib3.request("PUT", url, body=base64.b64decode(asked["value_base64"]))
    else:
        urllib3.request("DELETE", url)


if __name__ == "__main__":
    if sys.argv[1:] == ["seed"]:
        seed()
    else:
        with Service(8200) as service:
            service.serve_forever()
