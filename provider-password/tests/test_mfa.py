"""The MFA generator, against the vectors of RFC 6238 and RFC 4226."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from provider_common import CredentialsError, InvalidSpecError, MissingReferenceError
from provider_common.testing import FakeKube
from provider_password import MFAGenerator
from provider_password.mfa import ALGORITHMS, MFASpec, totp

Generate = Callable[..., Mapping[str, bytes]]

DIGITS = b"1234567890" * 7
SEEDS = {"sha1": DIGITS[:20], "sha256": DIGITS[:32], "sha512": DIGITS[:64]}

# RFC 6238, appendix B.
RFC_6238 = [
    (59, "94287082", "46119246", "90693936"),
    (1111111109, "07081804", "68084774", "25091201"),
    (1111111111, "14050471", "67062674", "99943326"),
    (1234567890, "89005924", "91819424", "93441116"),
    (2000000000, "69279037", "90698825", "38618901"),
    (20000000000, "65353130", "77737706", "47863826"),
]
VECTORS = [
    pytest.param(when, algorithm, token, id=f"{algorithm} at {when}")
    for when, *tokens in RFC_6238
    for algorithm, token in zip(("sha1", "sha256", "sha512"), tokens, strict=True)
]


def seed_of(kube: FakeKube, text: bytes) -> dict[str, Any]:
    kube.add_secret("team-a", "seed", {"value": text})
    return {"name": "seed", "key": "value"}


def at(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize(("when", "algorithm", "token"), VECTORS)
def test_the_vectors_of_rfc_6238_hold(
    generate: Generate, kube: FakeKube, when: int, algorithm: str, token: str
) -> None:
    """Every hash the RFC names; the Go generator computes all of them as SHA-1."""
    spec = {
        "secret": seed_of(kube, base64.b32encode(SEEDS[algorithm])),
        "length": 8,
        "algorithm": algorithm,
        "when": at(when),
    }

    values = generate(MFAGenerator, spec)

    assert values == {"token": token.encode(), "timeLeft": str(30 - when % 30).encode()}


# RFC 4226, appendix D: the counter's code for six digits.
@pytest.mark.parametrize(
    ("counter", "token"),
    list(
        enumerate(
            [
                "755224",
                "287082",
                "359152",
                "969429",
                "338314",
                "254676",
                "287922",
                "162583",
                "399871",
                "520489",
            ]
        )
    ),
)
def test_the_vectors_of_rfc_4226_hold(counter: int, token: str) -> None:
    """The function under the time-based one."""
    assert totp(DIGITS[:20], counter, digits=6, digest="sha1") == token


@given(
    seed=st.binary(min_size=1, max_size=100),
    counter=st.integers(0, 2**40),
    algorithm=st.sampled_from(ALGORITHMS),
)
def test_every_algorithm_is_its_hmac_truncated(seed: bytes, counter: int, algorithm: str) -> None:
    """Also those without a published vector: the last nibble of the HMAC says where the 31 bits are."""
    code = hmac.new(seed, counter.to_bytes(8, "big"), algorithm).digest()
    start = code[-1] % 16
    number = int.from_bytes(bytes([code[start] % 128]) + code[start + 1 : start + 4], "big")

    assert totp(seed, counter, digits=10, digest=algorithm) == f"{number:010d}"


@pytest.mark.parametrize("name", ["SHA256", "Sha256", "sha256"])
def test_the_algorithm_is_honoured_in_any_case(generate: Generate, kube: FakeKube, name: str) -> None:
    """People write it as their issuer's page does."""
    spec = {
        "secret": seed_of(kube, base64.b32encode(SEEDS["sha256"])),
        "length": 8,
        "algorithm": name,
        "when": at(59),
    }

    assert generate(MFAGenerator, spec)["token"] == b"46119246"


def test_an_empty_algorithm_is_the_default(generate: Generate, kube: FakeKube) -> None:
    """Empty means not set."""
    spec = {"secret": seed_of(kube, base64.b32encode(SEEDS["sha1"])), "algorithm": "", "when": at(59)}

    assert generate(MFAGenerator, spec)["token"] == b"287082"


SEED = base64.b32encode(SEEDS["sha256"]).decode()  # 32 bytes need padding


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(SEED, id="with padding"),
        pytest.param(SEED.rstrip("="), id="without padding"),
        pytest.param(SEED.lower(), id="in lower case"),
        pytest.param(" ".join(SEED[i : i + 4] for i in range(0, len(SEED), 4)), id="in groups of four"),
        pytest.param(SEED[:20] + "\n" + SEED[20:] + "\r\n", id="with line breaks"),
        pytest.param("\t" + SEED + " ", id="with blanks around"),
    ],
)
def test_a_seed_may_be_written_as_issuers_show_it(generate: Generate, kube: FakeKube, text: str) -> None:
    """Padding, which the Go generator refuses, is accepted too."""
    spec = {"secret": seed_of(kube, text.encode()), "length": 8, "algorithm": "sha256", "when": at(59)}

    assert generate(MFAGenerator, spec)["token"] == b"46119246"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"  \n", id="blank"),
        pytest.param(b"====", id="padding only"),
        pytest.param(b"CANARY018", id="digits outside base32"),
        pytest.param(b"canary-canary", id="a hyphen"),
        pytest.param("CANARYÄ".encode(), id="not ascii"),
        pytest.param(b"\xff\xfe\x00", id="not text"),
        pytest.param(b"CAN", id="an impossible number of characters"),
        pytest.param(b"CA=NARY", id="padding inside"),
    ],
)
def test_a_seed_that_is_not_base32_is_refused_without_showing_it(
    generate: Generate, kube: FakeKube, text: bytes
) -> None:
    """The message names the Secret and the key; the seed is a credential."""
    with pytest.raises(CredentialsError) as caught:
        generate(MFAGenerator, {"secret": seed_of(kube, text)})

    assert "'value' of Secret 'seed'" in caught.value.message
    assert "base32" in caught.value.message
    assert "CAN" not in str(caught.value).upper()
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("length", [0, -3])
def test_a_length_of_zero_or_less_means_six(generate: Generate, kube: FakeKube, length: int) -> None:
    """As in the Go generator."""
    spec = {"secret": seed_of(kube, SEED.encode()), "length": length}

    assert len(generate(MFAGenerator, spec)["token"]) == 6


def test_more_than_ten_digits_only_adds_zeros(generate: Generate, kube: FakeKube) -> None:
    """The number behind the code has 31 bits."""
    seed = seed_of(kube, SEED.encode())

    long = generate(MFAGenerator, {"secret": seed, "length": 20, "when": at(59)})["token"]
    short = generate(MFAGenerator, {"secret": seed, "length": 10, "when": at(59)})["token"]

    assert long == b"0" * 10 + short


@given(when=st.integers(0, 2**33), period=st.integers(1, 86_400))
def test_time_left_counts_down_to_the_next_code(when: int, period: int) -> None:
    """From the whole period, at its first second, to one."""
    kube = FakeKube()
    spec = {"secret": seed_of(kube, SEED.encode()), "timePeriod": period, "when": at(when)}

    values = _call(kube, spec)

    left = int(values["timeLeft"])
    assert 1 <= left <= period
    assert (when + left) % period == 0
    assert values["token"] == totp(SEEDS["sha256"], when // period, digits=6, digest="sha1").encode()


@pytest.mark.parametrize("period", [0, -1])
def test_a_period_of_zero_or_less_means_thirty(generate: Generate, kube: FakeKube, period: int) -> None:
    """As in the Go generator."""
    spec = {"secret": seed_of(kube, SEED.encode()), "timePeriod": period, "when": at(60)}

    assert generate(MFAGenerator, spec)["timeLeft"] == b"30"


def test_without_when_the_clock_counts(
    generate: Generate, kube: FakeKube, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`when` is for tests; everybody else wants the code of now."""
    monkeypatch.setattr("provider_password.mfa.time.time", lambda: 59.9)
    spec = {"secret": seed_of(kube, base64.b32encode(SEEDS["sha1"])), "length": 8}

    assert generate(MFAGenerator, spec) == {"token": b"94287082", "timeLeft": b"1"}


def test_the_seed_is_read_once_per_call_and_not_kept(generate: Generate, kube: FakeKube) -> None:
    """A replaced seed counts from the next call on."""
    seed = seed_of(kube, base64.b32encode(SEEDS["sha1"]))
    spec = {"secret": seed, "length": 8, "when": at(59)}
    generate(MFAGenerator, spec)
    kube.add_secret("team-a", "seed", {"value": base64.b32encode(hashlib.sha1(b"new").digest())})

    second = generate(MFAGenerator, spec)["token"]

    assert second != b"94287082"
    assert kube.secrets_read == [("team-a", "seed")] * 2


def test_a_missing_secret_and_a_missing_key_are_named(generate: Generate, kube: FakeKube) -> None:
    """Neither is "no such secret": nothing of the user's is to be deleted for it."""
    with pytest.raises(MissingReferenceError, match=r"no Secret 'seed' in namespace 'team-a'"):
        generate(MFAGenerator, {"secret": {"name": "seed", "key": "value"}})
    kube.add_secret("team-a", "seed", {"other": b"x"})
    with pytest.raises(
        MissingReferenceError, match=r"Secret 'seed' in namespace 'team-a' has no key 'value'"
    ):
        generate(MFAGenerator, {"secret": {"name": "seed", "key": "value"}})


SECRET = {"name": "seed", "key": "value"}


@pytest.mark.parametrize(
    ("spec", "part"),
    [
        pytest.param({}, "spec.secret: is required", id="no secret"),
        pytest.param({"secret": {"name": "seed"}}, "spec.secret.key: is required", id="no key"),
        pytest.param({"secret": SECRET, "algorithm": "md5"}, "algorithm is one of sha1", id="md5"),
        pytest.param({"secret": SECRET, "algorithm": "sha3_256"}, "algorithm is one of sha1", id="sha3"),
        pytest.param({"secret": SECRET, "when": "yesterday"}, "spec.when", id="when is no time"),
        pytest.param(
            {"secret": SECRET, "when": "2024-01-01T00:00:00"}, "spec.when", id="when without a zone"
        ),
        pytest.param({"secret": SECRET, "when": 1700000000}, "spec.when", id="when as a number"),
        pytest.param(
            {"secret": SECRET, "when": "1969-12-31T23:59:59Z"}, "not before 1970", id="before the epoch"
        ),
        pytest.param({"secret": SECRET, "length": 65}, "spec.length", id="65 digits"),
        pytest.param({"secret": SECRET, "timePeriod": 86_401}, "spec.timePeriod", id="more than a day"),
        pytest.param({"secret": SECRET, "period": 30}, "spec.period: is not a field", id="unknown field"),
    ],
)
def test_what_cannot_be_computed_is_refused(spec: dict[str, Any], part: str) -> None:
    """The message names the field."""
    with pytest.raises(InvalidSpecError) as caught:
        MFASpec.parse(spec, where="MFA team-a/main")

    assert part in caught.value.message


def _call(kube: FakeKube, spec: dict[str, Any]) -> Mapping[str, bytes]:
    from provider_common import Context
    from provider_common.auth import AuthResolver, Scope, TokenCache

    parsed = MFASpec.parse(spec, where="MFA team-a/main")
    scope = Scope("Generator", False, "team-a", "team-a", "team-a")
    auth = AuthResolver(kube, scope=scope, spec=parsed, tokens=TokenCache())
    return MFAGenerator().generate(Context(parsed, auth, "g/v1", "MFA", "main", "team-a")).data
