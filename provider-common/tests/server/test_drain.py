"""SIGTERM under load: calls in flight end, nothing is lost, the process exits 0."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from provider_common.testing import issue_certs
from provider_proto.provider.v1 import secretstore_pb2 as pb

PROVIDER = '''
import os, sys, threading
from typing import ClassVar
from provider_common import ProviderV2, Spec, serve

COUNT = open(sys.argv.pop(1), "ab", buffering=0)

class SlowSpec(Spec):
    """Nothing to set."""
    kind: ClassVar = "Slow"

class Slow(ProviderV2[SlowSpec]):
    """Answers after 50 ms, or never, or once the file of this name is there; writes down every call that it began."""
    @classmethod
    def open(cls, ctx):
        return cls()
    def get_secret(self, ref):
        COUNT.write(ref.key.encode() + b"\\n")
        threading.Event().wait(None if ref.key == "hang" else 0.05)
        while ref.key.startswith("/") and not os.path.exists(ref.key):
            threading.Event().wait(0.01)
        return ref.key.encode()

serve(Slow, name="slow")
'''

OBJECT = """
apiVersion: provider.secretstore.external-secrets.io/v2alpha1
kind: Slow
metadata: {name: main, namespace: team-a}
spec: {}
"""


class Provider:
    """A provider as a process of its own."""

    def __init__(self, folder: Path, *flags: str) -> None:
        self.certs = issue_certs(folder / "certs", hosts=("localhost",))
        (folder / "manifests").mkdir()
        (folder / "manifests" / "slow.yaml").write_text(OBJECT)
        script = folder / "slow.py"
        script.write_text(PROVIDER)
        self.counted = folder / "counted"
        ready = folder / "ready.json"
        self.process = subprocess.Popen(
            [
                sys.executable, str(script), str(self.counted), "serve", "--manifests", str(folder / "manifests"),
                "--host", "127.0.0.1", "--port", "0", "--http-host", "127.0.0.1", "--http-port", "0",
                "--tls-dir", str(self.certs.path), "--ready-file", str(ready), "--read-window", "0s", *flags,
            ],
            stderr=subprocess.PIPE,
        )  # fmt: skip
        deadline = time.monotonic() + 30
        while not ready.exists():
            assert self.process.poll() is None, self.process.stderr.read()
            assert time.monotonic() < deadline, "the provider did not become ready"
            time.sleep(0.01)
        self.ports = json.loads(ready.read_text())

    def connect(self) -> grpc.Channel:
        credentials = grpc.ssl_channel_credentials(
            self.certs.ca_file.read_bytes(),
            self.certs.client_key.read_bytes(),
            self.certs.client_cert.read_bytes(),
        )
        return grpc.secure_channel(
            f"localhost:{self.ports['port']}", credentials, (("grpc.use_local_subchannel_pool", 1),)
        )

    def stop(self, number: int = signal.SIGTERM) -> int:
        os.kill(self.process.pid, number)
        return self.process.wait(timeout=40)


@pytest.fixture
def provider(tmp_path: Path):
    started = Provider(tmp_path)
    yield started
    if started.process.poll() is None:
        started.process.kill()
        started.process.wait()
    started.process.stderr.close()


def get(channel: grpc.Channel, key: str) -> bytes:
    rpc = channel.unary_unary(
        "/provider.v1.SecretStoreProvider/GetSecret",
        request_serializer=pb.GetSecretRequest.SerializeToString,
        response_deserializer=pb.GetSecretResponse.FromString,
    )
    ref = pb.ProviderReference(
        api_version="provider.secretstore.external-secrets.io/v2alpha1", kind="Slow", name="main", namespace="team-a",
        store_ref_kind="SecretStore",
    )  # fmt: skip
    request = pb.GetSecretRequest(
        remote_ref=pb.ExternalSecretDataRemoteRef(key=key), provider_ref=ref, source_namespace="team-a"
    )
    return rpc(request, timeout=20).value


def test_sigterm_under_load_loses_nothing(provider: Provider) -> None:
    """A call either answers, or it never began: then the client may send it elsewhere. The provider's own book tells."""
    answered: list[str] = []
    never_ran: list[str] = []
    odd: list[tuple[str, grpc.StatusCode]] = []
    stop = threading.Event()

    def client(number: int) -> None:
        with provider.connect() as channel:
            for i in range(10_000):
                key = f"{number}-{i}"
                try:
                    assert get(channel, key) == key.encode()
                    answered.append(key)
                except grpc.RpcError as error:
                    if error.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}:
                        never_ran.append(key)
                    else:
                        odd.append((key, error.code()))
                if stop.is_set():
                    return

    threads = [threading.Thread(target=client, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    while len(answered) < 100:
        time.sleep(0.01)
    code = provider.stop()
    stop.set()
    for thread in threads:
        thread.join(timeout=30)
    began = set(provider.counted.read_text().split())
    assert code == 0, provider.process.stderr.read()
    assert odd == []
    assert began >= set(answered)
    assert not began & set(never_ran), "a call that had begun was lost"


def test_health_says_not_serving_before_the_calls_in_flight_have_ended(
    provider: Provider, tmp_path: Path
) -> None:
    """Watchers learn of the drain while the last calls still run: a core that waits for the end would go on sending."""
    go = tmp_path / "go"
    with provider.connect() as channel, ThreadPoolExecutor(2) as pool:
        request = health_pb2.HealthCheckRequest()
        watch = health_pb2_grpc.HealthStub(channel).Watch(request, timeout=30)
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        running = pool.submit(get, channel, str(go))
        while str(go).encode() not in provider.counted.read_bytes():
            time.sleep(0.01)

        stopping = pool.submit(provider.stop)

        assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert not running.done()
        go.touch()
        assert running.result(timeout=20) == str(go).encode()
        assert stopping.result(timeout=40) == 0


def test_a_backend_that_never_answers_does_not_keep_the_process(tmp_path: Path) -> None:
    """Its thread can't be interrupted. The process ends all the same when the time for calls in flight is over."""
    provider = Provider(tmp_path, "--drain", "0.5s")
    try:
        with provider.connect() as channel, ThreadPoolExecutor(1) as pool:
            hanging = pool.submit(get, channel, "hang")
            while b"hang" not in provider.counted.read_bytes():
                time.sleep(0.01)
            assert provider.stop() == 0
            assert hanging.exception() is not None
    finally:
        provider.process.kill()
        provider.process.wait()
        provider.process.stderr.close()


def test_sigint_drains_too(provider: Provider) -> None:
    with provider.connect() as channel:
        assert get(channel, "one") == b"one"
    assert provider.stop(signal.SIGINT) == 0


def test_the_log_is_json_lines(provider: Provider) -> None:
    provider.stop()
    lines = [json.loads(line) for line in provider.process.stderr.read().splitlines()]
    assert any("serves gRPC" in line["msg"] for line in lines)
    assert {"time", "level", "logger", "msg"} <= set(lines[0])
