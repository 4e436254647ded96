"""What holds a value never shows it: a repr ends up in a log, an exception in a bug report."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from eso_core.api.generatorstate import GeneratorState
from eso_core.api.meta import Meta
from eso_core.api.secrets import Secret
from eso_core.client.endpoints import ClientTls, Endpoint
from eso_core.reconcile.calls import Made
from eso_core.reconcile.gather import Gathered, MadeState
from eso_core.reconcile.routing import Settings, way
from eso_core.reconcile.target import Written
from eso_core.reconcile.world import Managed
from eso_core.runtime.folder import Loaded
from eso_core.template import Template, TemplateError

CANARY = b"c4n4ry"
TLS = ClientTls(CANARY, CANARY, CANARY)
SECRET = Secret(Meta("s", "n", annotations={"a": CANARY.decode()}), {"a": CANARY})


def test_what_holds_a_value_does_not_show_it(world: Any, bench: Any) -> None:
    """Every type that a value, a key or a state passes through."""
    via = way(world.change("Generator"), "team-a", Settings())
    bench.calls.made = [Made({"a": CANARY}, CANARY)]
    holders = [
        SECRET,
        Made({"a": CANARY}, CANARY),
        MadeState("0", via, CANARY),
        Gathered({"a": CANARY}, [MadeState("0", via, CANARY)]),
        GeneratorState("g", "n", "k", via.store, CANARY, datetime.now(UTC)),
        Written(SECRET, Managed()),
        Loaded(secrets={("n", "s"): SECRET}, config_maps={("n", "c"): {"a": CANARY}}),
        TLS,
        Endpoint("a:1", "a", TLS),
        Template("{{ .a }}"),
    ]
    for holder in holders:
        assert CANARY.decode() not in repr(holder), type(holder).__name__
        assert CANARY.decode() not in str(holder), type(holder).__name__


def test_an_outcome_shows_names_only(bench: Any) -> None:
    """What a runtime logs."""
    bench.calls.secrets = {"k": CANARY}
    outcome = bench.sync("""
        secretStoreRef: {apiVersion: secretstore.external-secrets.io/v2alpha1, name: main}
        data: [{secretKey: v, remoteRef: {key: k}}]
    """)
    assert outcome.secret.data == {"v": CANARY}
    assert CANARY.decode() not in repr(outcome)


@pytest.mark.parametrize("template", ["{{ .a.b }}", "{{ .a | atoi }}", "{{ index .a 99 }}", "{{ fail .a }}"])
def test_an_exception_of_a_template_holds_no_value(template: str) -> None:
    """Neither in its arguments nor in what led to it."""
    with pytest.raises(TemplateError) as raised:
        Template(template).render({"a": CANARY.decode()})
    assert CANARY.decode() not in repr(raised.value.args)
