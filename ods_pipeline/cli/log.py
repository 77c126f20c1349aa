"""What a command writes to stderr: sentences for a person, or lines with a time for a log.

What is written belongs to the files of the commands; summaries go to stdout.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any

import click

#: How `--log-format` may be given.
FORMATS = ("text", "json")

_NAME = "ods-pipeline"
_logger = logging.getLogger("ods_pipeline.cli")
_logger.propagate = False


class _Sentences(logging.Formatter):
    """As a person reads them: without a time."""

    def format(self, record: logging.LogRecord) -> str:
        return f"{_NAME}: {record.getMessage()}"


class _Lines(logging.Formatter):
    """A line each, with its time in UTC."""

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage().replace("\n", " ")
        return f"{_time(record)} {record.levelname} {message}"


class _Objects(logging.Formatter):
    """A JSON object each, with what a line is about as keys of its own."""

    def format(self, record: logging.LogRecord) -> str:
        content = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **record.__dict__.get("fields", {}),
        }
        return json.dumps(content, ensure_ascii=False)


class _Stderr(logging.Handler):
    """Writes to the stderr of the moment, and to none where there is none."""

    def emit(self, record: logging.LogRecord) -> None:
        click.echo(self.format(record), err=True)


_FORMATTERS = {"": _Sentences, "text": _Lines, "json": _Objects}
_handler = _Stderr()
_handler.setFormatter(_Sentences())
_logger.addHandler(_handler)
_logger.setLevel(logging.WARNING)


def begin(format: str, *, quiet: bool) -> None:
    """Decide how and how much is written from now on.

    Args:
        format: One of `FORMATS`, or empty for sentences about what is wrong.
        quiet: Whether what is in order is written as well, where there is a format.
    """
    _handler.setFormatter(_FORMATTERS[format]())
    _logger.setLevel(logging.INFO if format and not quiet else logging.WARNING)


def written() -> bool:
    """Whether what happens is written as it happens, instead of a bar."""
    return not isinstance(_handler.formatter, _Sentences)


def info(message: str, **fields: Any) -> None:
    """Write what happened, with what it is about."""
    _logger.info("%s", message, extra={"fields": fields})


def warning(message: str, **fields: Any) -> None:
    """Write what somebody should know."""
    _logger.warning("%s", message, extra={"fields": fields})


def error(message: str, **fields: Any) -> None:
    """Write what went wrong, in a sentence."""
    _logger.error("%s", message, extra={"fields": fields})


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
