"""Google's token services, for tests: what oauth2, sts, iamcredentials, securetoken and the metadata server answer.

One HTTP server plays all of them; clients reach it by Google's own host names through a `FaultProxy` that routes those
hosts here, so that their TLS and host checks stay as they are. Signatures of service account keys are checked, the
rules about which token may ask for what as well.
"""

from __future__ import annotations

import base64
import http.server
import json
import threading
import time
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from eso_e2e.faultproxy import FaultProxy

HOSTS = (
    "oauth2.googleapis.com",
    "sts.googleapis.com",
    "iamcredentials.googleapis.com",
    "securetoken.googleapis.com",
    "metadata.google.internal",
    "169.254.169.254",
)
SCOPE = "https://www.googleapis.com/auth/cloud-platform"


class GoogleTokens:
    """The token services. `accepts` is what a Secret Manager asks about a token."""

    def __init__(self) -> None:
        """Listen at once."""
        self.life = 3600
        """Seconds that a token lives from now on."""
        self.metadata: dict[str, str] = {}
        """What the metadata server knows, by path below /computeMetadata/v1/."""
        self.subjects: list[Mapping[str, Any]] = []
        """Requests of token exchanges and bindings, in order."""
        self._keys: dict[str, rsa.RSAPrivateKey] = {}
        self._tokens: dict[str, tuple[str, float]] = {}
        self._lock = threading.Lock()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._answer(lambda: outer._get(self.path, dict(self.headers)))

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self._answer(lambda: outer._post(self.path, dict(self.headers), body))

            def _answer(self, make: Callable[[], tuple[int, Any]]) -> None:
                status, content = make()
                text = content if isinstance(content, str) else json.dumps(content)
                data = text.encode()
                self.send_response(status)
                kind = "application/text" if isinstance(content, str) else "application/json"
                self.send_header("Content-Type", kind)
                self.send_header("Metadata-Flavor", "Google")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
                """Stay silent."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True, name="google-tokens")
        self._thread.start()

    @property
    def url(self) -> str:
        """Where the services listen, in the clear."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def behind(self, proxy: FaultProxy) -> None:
        """Route Google's hosts through `proxy` to here."""
        for host in HOSTS:
            proxy.route(host, self.url)

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def reset(self) -> None:
        """As new, for the next test; keys stay."""
        with self._lock:
            self.life = 3600
            self.metadata.clear()
            self.subjects.clear()
            self._tokens.clear()

    def accepts(self, token: str) -> bool:
        """True for a token given out here that has not ended and was not revoked."""
        _, expires = self._tokens.get(token, ("", 0.0))
        return time.time() < expires

    def owner(self, token: str) -> str:
        """Whose token it is; empty for none of ours."""
        return self._tokens.get(token, ("", 0.0))[0]

    def revoke_all(self) -> None:
        """End every token."""
        with self._lock:
            self._tokens.clear()

    def service_account_key(self, email: str = "reader@acme.iam.gserviceaccount.com", **more: str) -> str:
        """A key file (JSON) of a service account, which is known from now on."""
        with self._lock:
            key = self._keys.get(email)
            if key is None:
                key = self._keys[email] = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return json.dumps(
            {
                "type": "service_account",
                "project_id": "acme",
                "private_key_id": "1",
                "private_key": pem.decode(),
                "client_email": email,
                "client_id": "1",
                "token_uri": "https://oauth2.googleapis.com/token",
                **more,
            }
        )

    def forget_key(self, email: str) -> None:
        """Delete a service account's key: what it signs is not accepted any more."""
        with self._lock:
            del self._keys[email]

    # -- the services --------------------------------------------------------------------------------------------------

    def _issue(self, owner: str) -> str:
        with self._lock:
            token = f"ya29.{len(self._tokens)}-{time.monotonic_ns():x}"
            self._tokens[token] = (owner, time.time() + self.life)
        return token

    def _get(self, path: str, headers: Mapping[str, str]) -> tuple[int, Any]:
        if headers.get("Metadata-Flavor") != "Google" and headers.get("metadata-flavor") != "Google":
            return 403, "Missing Metadata-Flavor:Google header."
        path, _, _ = path.partition("?")
        below = path.removeprefix("/computeMetadata/v1/")
        account = "instance/service-accounts/default/"
        if below == f"{account}token":
            return 200, {"access_token": self._issue("pod"), "expires_in": self.life, "token_type": "Bearer"}
        if below == account:
            return 200, {
                "email": "pod@acme.iam.gserviceaccount.com",
                "scopes": [SCOPE],
                "aliases": ["default"],
            }
        if below in self.metadata:
            return 200, self.metadata[below]
        return (200, "0.1/") if path == "/" else (404, "not found")

    def _post(self, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, Any]:
        if path.startswith("/v1/projects/-/serviceAccounts/") and path.endswith(":generateAccessToken"):
            email = path.removeprefix("/v1/projects/-/serviceAccounts/").partition(":")[0]
            return self._impersonate(urllib.parse.unquote(email), headers, json.loads(body))
        if path == "/v1/identitybindingtoken":
            return self._bind(json.loads(body))
        form = dict(urllib.parse.parse_qsl(body.decode()))
        if path == "/v1/token":
            return self._exchange(form)
        if path == "/token":
            return self._grant(form)
        return 404, {"error": "not_found"}

    def _grant(self, form: Mapping[str, str]) -> tuple[int, Any]:
        head, _, signature = form.get("assertion", "").rpartition(".")
        claims = json.loads(_decoded(head.partition(".")[2]))
        key = self._keys.get(claims["iss"])
        try:
            if key is None or claims["exp"] < time.time() or claims.get("scope") != SCOPE:
                raise InvalidSignature
            key.public_key().verify(_decoded(signature), head.encode(), padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            return 400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}
        token = self._issue(claims["iss"])
        return 200, {"access_token": token, "expires_in": self.life, "token_type": "Bearer"}

    def _bind(self, request: Mapping[str, Any]) -> tuple[int, Any]:
        self.subjects.append(request)
        if not str(request.get("audience", "")).startswith("identitynamespace:"):
            return 400, {"error": "invalid_target"}
        token = self._issue("binding")
        return 200, {"access_token": token, "expires_in": self.life, "token_type": "Bearer"}

    def _exchange(self, form: Mapping[str, str]) -> tuple[int, Any]:
        self.subjects.append(form)
        if not form.get("subject_token") or not form.get("audience", "").startswith("//iam.googleapis.com/"):
            return 400, {"error": "invalid_request", "error_description": "subject_token or audience"}
        token = self._issue("federated")
        return 200, {
            "access_token": token,
            "expires_in": self.life,
            "token_type": "Bearer",
            "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
        }

    def _impersonate(
        self, email: str, headers: Mapping[str, str], request: Mapping[str, Any]
    ) -> tuple[int, Any]:
        lower = {name.lower(): value for name, value in headers.items()}
        caller = self.owner(lower.get("authorization", "").removeprefix("Bearer "))
        if caller not in ("binding", "federated") or SCOPE not in request.get("scope", ()):
            return 403, {"error": {"code": 403, "status": "PERMISSION_DENIED"}}
        end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + self.life))
        return 200, {"accessToken": self._issue(email), "expireTime": end}


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
