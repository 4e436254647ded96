"""A complete provider: a store that reads a small HTTP service (`GET /v1/KEY` with a token), and a generator of PINs."""

import secrets
from typing import ClassVar, Self
from urllib.parse import quote

import provider_common as sdk
import urllib3


class HelloSpec(sdk.Spec):
    """Where the service is, and which token opens it."""

    kind: ClassVar[str] = "Hello"
    url: str
    token_secret_ref: sdk.SecretKeySelector  # `tokenSecretRef` in the manifest


class HelloStore(sdk.ProviderV2[HelloSpec]):  # one service, opened with one token; the SDK closes it
    def __init__(self, http: urllib3.HTTPConnectionPool) -> None:
        self._http = http

    @classmethod
    def open(cls, ctx: sdk.Context[HelloSpec]) -> Self:
        headers = {"Authorization": "Bearer " + ctx.auth.secret_text(ctx.spec.token_secret_ref, strip=True)}
        return cls(urllib3.connection_from_url(ctx.spec.url, headers=headers, maxsize=20, retries=False))

    def get_secret(self, ref: sdk.RemoteRef) -> bytes:
        try:
            answer = self._http.request("GET", f"/v1/{quote(ref.key, safe='')}", timeout=sdk.remaining())
        except urllib3.exceptions.HTTPError as error:
            raise sdk.TemporaryError(f"{self._http.host} does not answer: {type(error).__name__}") from None
        if answer.status == 404:
            raise sdk.NoSecretError(ref.key)
        said = f"{self._http.host} answered {answer.status} for {ref.key!r}"
        if answer.status in {401, 403}:
            raise sdk.AccessDeniedError(f"{said}: check tokenSecretRef")
        if answer.status != 200:
            again = answer.status == 429 or answer.status >= 500
            raise sdk.TemporaryError(said) if again else sdk.PermanentError(said)
        return answer.data  # whole; the SDK applies `property`

    def close(self) -> None:
        self._http.close()


class PinSpec(sdk.Spec):
    """How long a PIN is."""

    kind: ClassVar[str] = "Pin"
    digits: int = sdk.Field(6, ge=4, le=64)


class PinGenerator(sdk.GeneratorV2[PinSpec]):
    def generate(self, ctx: sdk.Context[PinSpec]) -> sdk.Generated:
        return sdk.Generated({"pin": b"%0*d" % (ctx.spec.digits, secrets.randbelow(10**ctx.spec.digits))})


if __name__ == "__main__":
    sdk.serve(HelloStore, PinGenerator, name="hello-provider")
