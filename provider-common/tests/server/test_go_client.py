"""A grpc-go client with the Go core's keepalive: it pings every 10 s, also without calls, and must not be sent away."""

import pytest
from provider_common.testing import ProviderHarness


@pytest.mark.real
@pytest.mark.slow
def test_a_go_core_stays_connected_while_it_is_idle(
    harness: ProviderHarness, acme, acme_spec, go_peer
) -> None:
    """Sixty idle seconds, then a call on the same connection: no state change, no second dial. With grpc's defaults the
    server answers "too many pings" after thirty."""
    harness.kube.add_secret("team-a", "token", {"value": b"t0ken"})
    store = harness.add_store("team-a", acme_spec())
    call = {
        "call": "/provider.v1.SecretStoreProvider/GetSecret",
        "request": {
            "remoteRef": {
                "key": "db",
                "property": "user",
                "decodingStrategy": "None",
                "metadataPolicy": "None",
            },
            "providerRef": {
                "apiVersion": store.api_version,
                "kind": store.kind,
                "name": store.name,
                "namespace": store.namespace,
                "storeRefKind": "SecretStore",
            },
            "sourceNamespace": "team-a",
        },
    }
    health = {"call": "/grpc.health.v1.Health/Check", "request": {}}
    report = go_peer.run(
        harness.address,
        [call, health, {"idle": "60s"}, call],
        ca=harness.certs.ca_file,
        cert=harness.certs.client_cert,
        key=harness.certs.client_key,
    )
    first, healthy, idle, second = report["steps"]
    assert [first["code"], healthy["code"], second["code"]] == ["OK", "OK", "OK"]
    assert first["response"] == second["response"] == {"value": "YWRtaW4="}
    assert healthy["response"] == {"status": "SERVING"}
    assert idle["states"] in ([], ["READY"]), "the connection changed its state while it was idle"
    assert report["dials"] == 1
