"""A value put into every credential and secret shows up nowhere but in the answer that was asked for."""

import dataclasses
import inspect
import io
import logging

import grpc
import provider_common
import pytest
from provider_common import _logging, testing
from provider_common.kube import IssuedToken, KubeObject
from provider_common.testing import ProviderHarness

CANARY = "c4nary-4711"


@pytest.fixture
def log() -> io.StringIO:
    stream = io.StringIO()
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    _logging.configure(level="DEBUG", fmt="json", stream=stream)
    yield stream
    root.handlers[:] = before
    root.setLevel(level)


def test_nothing_that_is_shown_holds_a_value(harness: ProviderHarness, acme, acme_spec, log) -> None:
    value = CANARY.encode()
    harness.kube.add_secret("team-a", "token", {"value": value, "bad": b"\xff" + value})
    store = harness.add_store("team-a", acme_spec())
    acme.values.update(
        {"text": value, "json": b'{"a": "%s", "n": {"b": "%s"}}' % (value, value), "bad": b"\xff" + value}
    )
    acme.errors.update({"bug": ValueError(CANARY), "chained": RuntimeError(CANARY)})
    assert harness.get_secret(store, "text") == value
    selector = {"name": "token", "key": "value"}
    generated, state = harness.generate(harness.add_generator("team-a", {"tokenSecretRef": selector}))
    assert (generated["pin"], CANARY in state.decode()) == (value, False)
    failing = [
        lambda: harness.get_secret(store, "bug"),
        lambda: harness.get_secret(store, "chained"),
        lambda: harness.get_secret(store, "json", property="nope"),
        lambda: harness.get_secret(store, "text", property="nope"),
        lambda: harness.get_secret_map(store, "text"),
        lambda: harness.get_secret_map(store, "bad"),
        lambda: harness.get_secret_map(store, "json", property="a"),
        lambda: harness.push(store, "k", {"other": value}, secret_key="missing"),
        lambda: harness.push(store, "bug", {"a": value}),
        lambda: harness.generate(
            harness.add_generator("team-a", {"tokenSecretRef": {**selector, "key": "gone"}}, name="b")
        ),
        lambda: harness.cleanup(harness.add_generator("team-a", {}, name="c"), b'["' + value + b'"]'),
        lambda: harness.get_secret(harness.add_store("team-a", {"tokenSecretRef": CANARY}, name="c"), "k"),
        lambda: harness.get_secret(harness.add_store("team-a", {"label": {"x": [CANARY]}}, name="d"), "k"),
        lambda: harness.get_secret(
            harness.add_store("team-a", {"tokenSecretRef": {"name": CANARY + "!", "key": "value"}}, name="b"),
            "k",
        ),
    ]
    shown = []
    for call in failing:
        with harness.fails() as failure:
            call()
        assert failure.code is not grpc.StatusCode.OK
        shown += [failure.message, str(failure.error), repr(failure.trailers)]
    shown += [log.getvalue(), harness.metrics(), repr(harness.server), repr(harness.server._stores._open)]
    assert "unexpected ValueError" in log.getvalue(), "the log has to be the one that is looked at"
    for text in shown:
        assert CANARY not in text, text[:400]


def test_the_repr_of_every_public_type_hides_what_it_holds() -> None:
    """Every public dataclass with a field that may hold a value is made with the canary in it."""
    made = []
    for name in provider_common.__all__:
        member = getattr(provider_common, name)
        if not (inspect.isclass(member) and dataclasses.is_dataclass(member)):
            continue
        values = {}
        for field in dataclasses.fields(member):
            if "bytes" in str(field.type) and "Mapping" in str(field.type):
                values[field.name] = {"k": CANARY.encode()}
            elif str(field.type) == "bytes":
                values[field.name] = CANARY.encode()
            elif field.name == "state":
                values[field.name] = {"k": CANARY}
            elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
                values[field.name] = "x"
        made.append(member(**values))
    made += [
        provider_common.SecretBytes(CANARY.encode()),
        IssuedToken(CANARY, 0.0, 1.0),
        KubeObject("v1", "K", "n", "x", {"token": CANARY}),
    ]
    assert len(made) > 6
    for thing in made:
        for text in (repr(thing), str(thing), f"{thing}", f"{thing!r:>4}"):
            assert CANARY not in text, type(thing)


def test_secret_bytes_work_as_bytes_and_do_not_travel() -> None:
    import pickle

    secret = provider_common.SecretBytes(b"abc")
    assert (secret + b"d", secret.decode(), len(secret), secret == b"abc") == (b"abcd", "abc", 3, True)
    with pytest.raises(TypeError, match="not to be pickled"):
        pickle.dumps(secret)


def test_the_fake_kubernetes_does_not_print_its_secrets() -> None:
    kube = testing.FakeKube()
    kube.add_secret("a", "b", {"c": CANARY.encode()})
    assert CANARY not in repr(kube)
