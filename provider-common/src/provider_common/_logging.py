"""Logs as JSON lines, each with the id of the request it belongs to.

What may be logged is a message, and fields that the caller names (`extra={"fields": {...}}`). What an exception says is
never written: a library's exception may quote a response body, a URL with a token, or a local variable in its traceback,
so a logged exception is reduced to the names of its classes.
"""

from __future__ import annotations

import itertools
import json
import logging
import secrets
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Literal, TextIO

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""Id of the request that the current thread works for; empty outside of requests."""

_PROCESS = secrets.token_hex(4)
_numbers = itertools.count(1)


def new_request_id() -> str:
    """An id that no other request of this process has, and hardly one of another: a random prefix and a counter."""
    return f"{_PROCESS}-{next(_numbers)}"


def configure(
    *, level: str = "INFO", fmt: Literal["json", "text"] = "json", stream: TextIO | None = None
) -> None:
    """Send every log record of the process to `stream` (default: standard error) in the form `fmt`.

    Called again, it replaces what it set up before and nothing else. Raises ValueError for a level that does not exist.
    """
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise ValueError(f"log level {level!r} does not exist; use DEBUG, INFO, WARNING or ERROR")
    handler = _OurHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if fmt == "json" else TextFormatter())
    root = logging.getLogger()
    for old in [each for each in root.handlers if isinstance(each, _OurHandler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(number)
    # Libraries that print requests, headers or bodies at DEBUG. Ours is the only DEBUG that is safe to turn on.
    for name in ("botocore", "boto3", "urllib3", "google", "hvac", "kubernetes", "grpc", "asyncio"):
        logging.getLogger(name).setLevel(max(number, logging.WARNING))


class _OurHandler(logging.StreamHandler[TextIO]):
    """Marks the handler that `configure` may replace. A record that can't be formatted is dropped by name, not dumped."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name is logging's
        # logging's own way prints the record's arguments and the stack: values.
        try:
            self.stream.write(f"a log record of {record.name} line {record.lineno} could not be written\n")
        except (OSError, ValueError):
            return


class JsonFormatter(logging.Formatter):
    """One JSON object per line: time, level, logger, msg, request_id, error, and the fields that the caller named."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "msg": record.getMessage(),
        }
        if current := request_id.get():
            line["request_id"] = current
        for name, value in _fields(record).items():
            line.setdefault(name, value)
        if error := _error(record):
            line["error"] = error
        return json.dumps(line, ensure_ascii=False, default=_plain)


class TextFormatter(logging.Formatter):
    """The same for people: one line, fields as `name=value`."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        moment = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S.%f")[:-3]
        parts = [moment, f"{record.levelname:<7}", record.name + ":", _one_line(record.getMessage())]
        parts += [f"{name}={_one_line(str(_plain(value)))}" for name, value in _fields(record).items()]
        if error := _error(record):
            parts.append(f"error={error}")
        if current := request_id.get():
            parts.append(f"request_id={current}")
        return " ".join(parts)


def _fields(record: logging.LogRecord) -> Mapping[str, object]:
    fields = getattr(record, "fields", None)
    return fields if isinstance(fields, Mapping) else {}


def _error(record: logging.LogRecord) -> str:
    """The exception and what caused it, innermost last, by class name."""
    error = record.exc_info[1] if record.exc_info else None
    names: list[str] = []
    while error is not None and len(names) < 8:
        names.append(f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins."))
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return " < ".join(names)


def _plain(value: object) -> object:
    """What JSON can hold. Bytes are never shown, whatever they are: secrets are bytes here."""
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return "***"
    return str(value) if isinstance(value, datetime) else f"<{type(value).__name__}>"


def _one_line(text: str) -> str:
    return (
        text.replace("\\", "\\\\").replace("\r", "\\r").replace("\n", "\\n")
        if "\n" in text or "\r" in text
        else text
    )
