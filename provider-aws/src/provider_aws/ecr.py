"""`ECRAuthorizationToken`: user name and password for an Amazon ECR registry, private or public. Nothing to clean up."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from provider_common import Context, Generated, GeneratorV2, PermanentError

from provider_aws.spec import ECRAuthorizationTokenSpec

PUBLIC = "public"


class ECRAuthorizationTokenGenerator(GeneratorV2[ECRAuthorizationTokenSpec]):
    """A token for docker login. AWS makes it valid for 12 hours."""

    def generate(self, ctx: Context[ECRAuthorizationTokenSpec]) -> Generated:
        """`username`, `password`, `expires_at` (seconds since 1970), and of a private registry `proxy_endpoint`."""
        from provider_aws import _opening

        spec = ctx.spec
        chain = _opening.generator_chain(ctx, spec)
        service = "ecr-public" if spec.scope == PUBLIC else "ecr"
        client = _opening.client(ctx, chain, service, region=spec.region)
        try:
            answer = client.call("GetAuthorizationToken", "a token for the registry")
        finally:
            client.close()
        data: Any = answer.get("authorizationData") or []
        if spec.scope == PUBLIC:
            return Generated(_login(data or {}))
        if len(data) != 1:
            raise PermanentError(f"AWS ECR answered {len(data)} tokens, and one was expected")
        endpoint: str = data[0].get("proxyEndpoint", "")
        return Generated({**_login(data[0]), "proxy_endpoint": endpoint.encode()})


def _login(data: Mapping[str, Any]) -> dict[str, bytes]:
    try:
        text = base64.b64decode(data.get("authorizationToken", ""), validate=True)
    except (binascii.Error, ValueError):
        text = b""
    parts, ends = text.split(b":"), data.get("expiresAt")
    if len(parts) != 2 or ends is None:
        raise PermanentError("AWS ECR answered a token that is not USER:PASSWORD with an end")
    return {"username": parts[0], "password": parts[1], "expires_at": unix_seconds(ends)}


def unix_seconds(moment: datetime) -> bytes:
    """Seconds since 1970, in decimal."""
    return str(int(moment.timestamp())).encode()
