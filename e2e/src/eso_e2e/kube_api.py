"""A Kubernetes API server as a test's user: apply manifests, make namespaces, hand out limited ServiceAccounts.

No controller may be running behind it: nothing garbage-collects, and a namespace that is deleted may stay
`Terminating`. Use a namespace of its own for every test instead of cleaning up.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml

from eso_e2e.http import AnswerError, JsonClient
from eso_e2e.process import ServerError, wait_until

Manifest = Mapping[str, Any]


class KubeApi:
    """An API server that is there. `url`, `ca_file` and `admin_token` open it; `kubeconfig` is all three in one file."""

    def __init__(self, folder: Path, *, url: str, ca_file: Path, admin_token: str) -> None:
        """Prepare the clients; nothing is sent yet. Kubeconfigs are written to `folder`."""
        self.folder = folder
        self.url = url
        self.ca_file = ca_file
        self.admin_token = admin_token
        self.kubeconfig = self.write_kubeconfig("admin", admin_token)
        self.api = self.client(admin_token)

    @classmethod
    def from_kubeconfig(cls, path: Path, folder: Path) -> KubeApi:
        """Use the cluster of an existing kubeconfig, whose current user must have a token that may do everything."""
        config = yaml.safe_load(path.read_text())
        context = _named(config["contexts"], config["current-context"])["context"]
        cluster = _named(config["clusters"], context["cluster"])["cluster"]
        user = _named(config["users"], context["user"])["user"]
        if "token" not in user:
            raise ServerError(f"{path}: its current user must log in with a token")
        ca_file = folder / "ca.crt"
        if "certificate-authority-data" in cluster:
            ca_file.write_bytes(base64.b64decode(cluster["certificate-authority-data"]))
        else:
            ca_file.write_bytes((path.parent / cluster["certificate-authority"]).read_bytes())
        return cls(folder, url=cluster["server"], ca_file=ca_file, admin_token=user["token"])

    def client(self, token: str) -> JsonClient:
        """Return a plain client that calls the API server with `token`."""
        return JsonClient(self.url, ca_file=self.ca_file, headers={"Authorization": f"Bearer {token}"})

    def apply(self, manifests: str | Manifest | Sequence[Manifest]) -> list[Any]:
        """Server-side apply manifests (YAML text or objects) and return what the server stored.

        A CustomResourceDefinition is established when this returns. Raises AnswerError with the server's own text.
        """
        if isinstance(manifests, str):
            manifests = [document for document in yaml.safe_load_all(manifests) if document]
        elif isinstance(manifests, Mapping):
            manifests = [manifests]
        return [self._apply_one(manifest) for manifest in manifests]

    def get(self, manifest: Manifest) -> Any:
        """Read the object that `manifest` names (apiVersion, kind, name and namespace). Raises AnswerError."""
        return self.api("GET", self.path_of(manifest))

    def delete(self, manifest: Manifest) -> None:
        """Delete the object that `manifest` names. Raises AnswerError, also if it is not there."""
        self.api("DELETE", self.path_of(manifest))

    def path_of(self, manifest: Manifest) -> str:
        """Return the REST path of the object that `manifest` names, by asking the server what its kind is called."""
        version, kind, metadata = manifest["apiVersion"], manifest["kind"], manifest["metadata"]
        root = f"/apis/{version}" if "/" in version else f"/api/{version}"
        for resource in self.api("GET", root)["resources"]:
            if resource["kind"] == kind and "/" not in resource["name"]:
                place = (
                    f"/namespaces/{metadata.get('namespace', 'default')}" if resource["namespaced"] else ""
                )
                return f"{root}{place}/{resource['name']}/{quote(metadata['name'])}"
        raise ServerError(f"the API server knows no kind {kind} in {version}")

    def create_namespace(self, prefix: str = "test") -> str:
        """Create a namespace with a name nobody else has, and return the name."""
        name = f"{prefix}-{secrets.token_hex(4)}"
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        return name

    def create_secret(self, namespace: str, name: str, values: Mapping[str, str]) -> None:
        """Create or change an Opaque Secret that holds `values` as text."""
        metadata = {"name": name, "namespace": namespace}
        self.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": dict(values)})

    def service_account_token(
        self, namespace: str, name: str, *, audiences: Sequence[str] = (), seconds: int = 3600
    ) -> str:
        """Create the ServiceAccount if it is not there, and return a token for it."""
        account = {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": name, "namespace": namespace},
        }
        self.apply(account)
        spec = {"expirationSeconds": seconds, **({"audiences": list(audiences)} if audiences else {})}
        answer = self.api("POST", f"{self.path_of(account)}/token", {"spec": spec})
        return str(answer["status"]["token"])

    def service_account_kubeconfig(
        self, namespace: str, name: str, rules: Sequence[Manifest], *, cluster_wide: bool = True
    ) -> Path:
        """Return a kubeconfig for a ServiceAccount that may do what the RBAC `rules` say and nothing else.

        The rules hold everywhere, or only in `namespace` if not `cluster_wide`.
        """
        token = self.service_account_token(namespace, name)
        role, binding = ("ClusterRole", "ClusterRoleBinding") if cluster_wide else ("Role", "RoleBinding")
        group = "rbac.authorization.k8s.io"
        metadata = {"name": f"{namespace}-{name}", **({} if cluster_wide else {"namespace": namespace})}
        self.apply(
            [
                {"apiVersion": f"{group}/v1", "kind": role, "metadata": metadata, "rules": list(rules)},
                {
                    "apiVersion": f"{group}/v1",
                    "kind": binding,
                    "metadata": metadata,
                    "roleRef": {"apiGroup": group, "kind": role, "name": metadata["name"]},
                    "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
                },
            ]
        )
        return self.write_kubeconfig(f"{namespace}-{name}", token)

    def write_kubeconfig(self, name: str, token: str, *, url: str | None = None) -> Path:
        """Write a kubeconfig that calls the API server with `token`, or a proxy in front of it at `url`."""
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": "e2e",
                    "cluster": {"server": url or self.url, "certificate-authority": str(self.ca_file)},
                }
            ],
            "users": [{"name": name, "user": {"token": token}}],
            "contexts": [{"name": "e2e", "context": {"cluster": "e2e", "user": name}}],
            "current-context": "e2e",
        }
        path = self.folder / f"{name}.kubeconfig"
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(config))
        return path

    def close(self) -> None:
        """Close the kept connections; the server stays."""
        self.api.close()

    def _apply_one(self, manifest: Manifest) -> Any:
        headers = {"Content-Type": "application/apply-patch+yaml"}  # JSON is YAML
        path = self.path_of(manifest)
        stored = self.api("PATCH", f"{path}?fieldManager=eso-e2e&force=true", manifest, headers=headers)
        if manifest["kind"] == "CustomResourceDefinition":
            wait_until(
                lambda: self._served(manifest, path), seconds=90, what=f"CRD {manifest['metadata']['name']}"
            )
        return stored

    def _served(self, crd: Manifest, path: str) -> bool:
        conditions = (self.api("GET", path).get("status") or {}).get("conditions") or []
        if not any(item["type"] == "Established" and item["status"] == "True" for item in conditions):
            return False
        # "Established" comes a moment before the API server really answers for the new kind.
        plural, group = crd["spec"]["names"]["plural"], crd["spec"]["group"]
        served = [version["name"] for version in crd["spec"]["versions"] if version["served"]]
        return all(self._has_resource(f"/apis/{group}/{version}", plural) for version in served)

    def _has_resource(self, root: str, plural: str) -> bool:
        try:
            names = [resource["name"] for resource in self.api("GET", root)["resources"]]
            return plural in names and self.api.answers(f"{root}/{plural}?limit=1")
        except AnswerError:
            return False


def _named(entries: Sequence[Manifest], name: str) -> Manifest:
    return next(entry for entry in entries if entry["name"] == name)
