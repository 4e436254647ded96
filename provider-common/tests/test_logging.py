"""Log lines: what a collector can rely on, and what must never stand in one."""

from __future__ import annotations

import io
import json
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from provider_common import _logging
from provider_common.sensitive import SecretBytes

CANARY = "c4nary-v4lue"
log = logging.getLogger("provider_common.some")


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root, known = logging.getLogger(), dict(logging.Logger.manager.loggerDict)
    level, levels = (
        root.level,
        {each: each.level for each in known.values() if isinstance(each, logging.Logger)},
    )
    yield
    for handler in [each for each in root.handlers if isinstance(each, _logging._OurHandler)]:
        root.removeHandler(handler)
    root.setLevel(level)
    for logger in list(logging.Logger.manager.loggerDict.values()):
        if isinstance(logger, logging.Logger):
            logger.setLevel(levels.get(logger, logging.NOTSET))


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def to_json(level: str = "INFO") -> io.StringIO:
    stream = io.StringIO()
    _logging.configure(level=level, stream=stream)
    return stream


def to_text() -> io.StringIO:
    stream = io.StringIO()
    _logging.configure(fmt="text", stream=stream)
    return stream


def test_a_line_is_one_json_object_with_the_promised_keys() -> None:
    """Collectors index by these names."""
    stream = to_json()
    log.warning(
        "store %s opened", "team-a/main", extra={"fields": {"kind": "Fake", "seconds": 0.2, "cold": True}}
    )

    (line,) = lines(stream)
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "warning",
        "logger": "provider_common.some",
        "msg": "store team-a/main opened",
        "kind": "Fake",
        "seconds": 0.2,
        "cold": True,
    }


def test_the_request_id_is_in_every_line_of_the_request_and_in_no_other() -> None:
    """It is what a user sends us from an error message."""
    stream = to_json()

    def work(name: str) -> None:
        _logging.request_id.set(name)
        log.info("from %s", name)

    for name in ("a-1", "a-2"):
        thread = threading.Thread(target=work, args=(name,))
        thread.start()
        thread.join()
    log.info("outside")

    assert [(line["msg"], line.get("request_id")) for line in lines(stream)] == [
        ("from a-1", "a-1"),
        ("from a-2", "a-2"),
        ("outside", None),
    ]


def test_request_ids_are_never_the_same() -> None:
    """Many threads ask at once."""
    made: list[str] = []
    threads = [
        threading.Thread(target=lambda: made.extend(_logging.new_request_id() for _ in range(1000)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(made)) == 8000


@pytest.mark.parametrize("stream_of", [to_json, to_text], ids=["json", "text"])
def test_an_exception_is_logged_by_class_and_cause_only(stream_of: Any) -> None:
    """What it says, and the locals of its traceback, may be a response body."""
    stream = stream_of()
    failure = RuntimeError(f"body: {CANARY}")
    failure.__cause__ = KeyError(CANARY)

    log.error("opening failed", exc_info=failure)

    assert "RuntimeError < KeyError" in stream.getvalue()
    assert CANARY not in stream.getvalue()
    assert "Traceback" not in stream.getvalue()


@pytest.mark.parametrize("stream_of", [to_json, to_text], ids=["json", "text"])
@pytest.mark.parametrize(
    "secret", [SecretBytes(CANARY.encode()), CANARY.encode(), bytearray(CANARY.encode())]
)
def test_bytes_are_a_mask(stream_of: Any, secret: bytes) -> None:
    """Secrets are bytes here, so bytes in a field are a mistake that must do no harm."""
    stream = stream_of()

    log.info("value", extra={"fields": {"value": secret, "nested": {"value": secret}}})

    assert CANARY not in stream.getvalue()
    assert "***" in stream.getvalue()


def test_a_secret_in_a_message_is_a_mask() -> None:
    """The slip that happens: `%s` with the wrong variable."""
    stream = to_json()

    log.info(
        "token %s, again %r, %s",
        SecretBytes(CANARY.encode()),
        SecretBytes(CANARY.encode()),
        f"{SecretBytes(b'x')}",
    )

    assert lines(stream)[0]["msg"] == "token ***, again SecretBytes(***), ***"


def test_a_broken_log_call_does_not_dump_its_arguments() -> None:
    """Python's own handling prints the arguments to stderr."""
    stream = to_json()
    (ours,) = [each for each in logging.getLogger().handlers if isinstance(each, _logging._OurHandler)]

    # To our handler only: those of pytest raise.
    ours.handle(logging.makeLogRecord({"name": log.name, "msg": "two %s %s", "args": (CANARY,)}))

    assert stream.getvalue().startswith("a log record of provider_common.some line ")
    assert CANARY not in stream.getvalue()


def test_a_field_can_not_pose_as_a_promised_key() -> None:
    """A key that comes from a manifest must not forge a level or a message."""
    stream = to_json()

    log.info("true", extra={"fields": {"msg": "false", "level": "fatal"}})

    assert (lines(stream)[0]["msg"], lines(stream)[0]["level"]) == ("true", "info")


def test_a_newline_can_not_forge_a_line_of_text() -> None:
    """Names come from users."""
    stream = to_text()

    log.info("key %s", "a\n12:00:00.000 ERROR x", extra={"fields": {"name": "b\nc"}})

    assert len(stream.getvalue().splitlines()) == 1


@pytest.mark.parametrize("library", ["botocore", "urllib3", "hvac", "kubernetes", "google"])
def test_debug_does_not_turn_on_libraries_that_print_bodies(library: str) -> None:
    """DEBUG of ours is safe to turn on in production; theirs prints headers, tokens and bodies."""
    stream = to_json("debug")

    logging.getLogger(f"{library}.connection").debug("Authorization: %s", CANARY)
    log.debug("ours")

    assert [line["msg"] for line in lines(stream)] == ["ours"]


def test_configured_twice_it_writes_once() -> None:
    """Tests and embedders start several servers in one process."""
    first, second = to_json(), to_json()

    log.info("once")

    assert first.getvalue() == ""
    assert len(lines(second)) == 1


def test_an_unknown_level_is_refused_with_the_known_ones() -> None:
    """It is read from the command line."""
    with pytest.raises(ValueError, match="use DEBUG, INFO, WARNING or ERROR"):
        _logging.configure(level="LOUD")
