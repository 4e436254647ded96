"""`STSSessionToken`: temporary credentials of an IAM user. Nothing to clean up: they end by themselves."""

from __future__ import annotations

from typing import Any

from provider_common import Context, Generated, GeneratorV2

from provider_aws.ecr import unix_seconds
from provider_aws.spec import STSSessionTokenSpec


class STSSessionTokenGenerator(GeneratorV2[STSSessionTokenSpec]):
    """GetSessionToken with the keys of a user."""

    def generate(self, ctx: Context[STSSessionTokenSpec]) -> Generated:
        """`access_key_id`, `secret_access_key`, `session_token` and `expiration` (seconds since 1970)."""
        from provider_aws import _opening

        spec, wanted = ctx.spec, ctx.spec.request_parameters
        parameters: dict[str, Any] = {
            "DurationSeconds": wanted.session_duration,
            "SerialNumber": wanted.serial_number,
            "TokenCode": wanted.token_code,
        }
        given = {name: value for name, value in parameters.items() if value is not None}
        client = _opening.client(ctx, _opening.generator_chain(ctx, spec), "sts", region=spec.region)
        try:
            # A code of an MFA device is good for one call: asked again, AWS refuses it, and counts that as an attempt.
            retry = wanted.token_code is None
            found = client.call("GetSessionToken", "a session token", retry=retry, **given)["Credentials"]
        finally:
            client.close()
        return Generated(
            {
                "access_key_id": found["AccessKeyId"].encode(),
                "secret_access_key": found["SecretAccessKey"].encode(),
                "session_token": found["SessionToken"].encode(),
                "expiration": unix_seconds(found["Expiration"]),
            }
        )
