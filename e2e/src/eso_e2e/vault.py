"""Vault as a real server: in dev mode, or with TLS, client certificates and an unseal key of its own.

It sets nothing up beyond what the server itself needs: mounts, policies and logins are each test's own business.
"""

from __future__ import annotations

import json
import secrets
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from eso_e2e import servers
from eso_e2e.http import JsonClient
from eso_e2e.pki import CertificateAuthority, KeyPair
from eso_e2e.process import ServerProcess, free_port, wait_until


class VaultApi:
    """A Vault that is there: `address` and `root_token` open it, `ca_file` proves it if it speaks TLS."""

    def __init__(self, address: str, root_token: str, *, ca_file: Path | None = None) -> None:
        """Prepare the client; nothing is sent yet."""
        self.address = address
        self.root_token = root_token
        self.ca_file = ca_file
        self.api = JsonClient(f"{address}/v1", ca_file=ca_file, headers={"X-Vault-Token": root_token})

    def __call__(self, method: str, path: str, body: Any = None, *, token: str | None = None) -> Any:
        """Send one request below /v1, as root or with `token`, and return the decoded answer. Raises AnswerError."""
        return self.api(method, path, body, headers={} if token is None else {"X-Vault-Token": token})

    def mount(self, kind: str, options: dict[str, str] | None = None) -> str:
        """Mount a secrets engine at a path nobody else has, and return the path."""
        path = f"{kind}-{secrets.token_hex(4)}"
        self("POST", f"/sys/mounts/{path}", {"type": kind, "options": options or {}})
        if (options or {}).get("version") == "2":
            # A new KV v2 mount answers 400 until its upgrade in the background is done.
            wait_until(lambda: self.api.answers(f"/{path}/config"), seconds=90, what=f"KV v2 mount {path}")
        return path

    def enable_auth(self, kind: str) -> str:
        """Enable an auth method at a path nobody else has, and return the path (without `auth/`)."""
        path = f"{kind}-{secrets.token_hex(4)}"
        self("POST", f"/sys/auth/{path}", {"type": kind})
        return path

    def write_policy(self, rules: str) -> str:
        """Write a policy (HCL) under a name nobody else has, and return the name."""
        name = f"test-{secrets.token_hex(4)}"
        self("PUT", f"/sys/policies/acl/{name}", {"policy": rules})
        return name

    def create_token(self, **parameters: Any) -> str:
        """Create a token (parameters as of auth/token/create) and return it."""
        return str(self("POST", "/auth/token/create", parameters)["auth"]["client_token"])

    def close(self) -> None:
        """Close the kept connections; the server stays."""
        self.api.close()


class VaultServer(VaultApi):
    """A Vault process of our own, all in memory: what it holds ends with it."""

    def __init__(
        self,
        *,
        tls: bool = False,
        env: Mapping[str, str] | None = None,
        progress: servers.Progress = servers.say,
    ) -> None:
        """Start in dev mode, or with `tls`: initialised, unsealed, asking clients for a certificate.

        `env` is added to the server's environment: proxies and roots, say, for logins that ask a cloud.
        Raises NotToBeHadError, ServerError.
        """
        binary = servers.find("vault", progress=progress)
        self.folder = Path(tempfile.mkdtemp(prefix="eso-e2e-vault-"))
        self.unseal_key = ""
        self.authority: CertificateAuthority | None = None
        self.client_pair: KeyPair | None = None
        port = free_port()
        if tls:
            self.authority = CertificateAuthority(self.folder / "pki", "eso-e2e vault CA")
            self.client_pair = self.authority.issue("vault-client", organization="eso-e2e")
            super().__init__(f"https://127.0.0.1:{port}", "", ca_file=self.authority.ca_file)
            arguments = ["server", f"-config={self._write_config(port, self.authority)}"]
        else:
            token = secrets.token_urlsafe(16)
            super().__init__(f"http://127.0.0.1:{port}", token)
            arguments = ["server", "-dev", "-dev-no-store-token", f"-dev-listen-address=127.0.0.1:{port}"]
            arguments.append(f"-dev-root-token-id={token}")
        self._process = ServerProcess(
            [binary, *arguments],
            log=self.folder / "vault.log",
            env={"HOME": str(self.folder), "SKIP_SETCAP": "1", **(env or {})},
            remove=self.folder,
        )
        try:
            # 501 (not initialised) and 503 (sealed) are answers too.
            self._process.wait_ready(lambda: self.api.answers("/sys/health?sealedcode=200&uninitcode=200"))
            if tls:
                self._initialise()
            wait_until(lambda: self.api.answers("/sys/health"), seconds=90, what="Vault unsealed and active")
        except BaseException:
            self.close()
            raise

    def seal(self) -> None:
        """Seal it: everything is answered with 503 until `unseal`. Only with `tls`."""
        self("PUT", "/sys/seal")

    def unseal(self) -> None:
        """Unseal it, and wait until it is active."""
        self("PUT", "/sys/unseal", {"key": self.unseal_key})
        wait_until(lambda: self.api.answers("/sys/health"), seconds=90, what="Vault unsealed and active")

    def log_tail(self) -> str:
        """The last lines of the server's log."""
        return self._process.log_tail()

    def close(self) -> None:
        """End the server and delete its folder."""
        super().close()
        self._process.stop(seconds=5)
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write_config(self, port: int, authority: CertificateAuthority) -> Path:
        serving = authority.issue("vault")
        listener = {
            "address": f"127.0.0.1:{port}",
            "tls_cert_file": str(serving.cert),
            "tls_key_file": str(serving.key),
            "tls_client_ca_file": str(authority.ca_file),
        }
        config = {
            "listener": [{"tcp": listener}],
            "storage": {"inmem": {}},
            "disable_mlock": True,
            "api_addr": self.address,
        }
        path = self.folder / "config.json"
        path.write_text(json.dumps(config))
        return path

    def _initialise(self) -> None:
        made = self("PUT", "/sys/init", {"secret_shares": 1, "secret_threshold": 1})
        self.unseal_key, self.root_token = made["keys_base64"][0], made["root_token"]
        self.api.close()
        self.api = JsonClient(
            f"{self.address}/v1", ca_file=self.ca_file, headers={"X-Vault-Token": self.root_token}
        )
        self.unseal()
