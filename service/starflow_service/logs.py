"""Logging: one line an event, on stderr, as JSON or for a person.

Every line has ``time``, ``level`` and ``event``, and what the place knows: ``run``,
``rpc``, ``request_id``, ``peer`` ...  Payloads and tokens are never logged, whatever a
line asks for; values are cut, and cannot break or fake a line.
"""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Final, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
VALUE_MAX: Final = 256
TRACEBACK_MAX: Final = 16 * 1024

# What users' data goes by.
_NEVER: Final = frozenset(
    {
        "details", "input", "metadata", "output", "payload", "progress", "result",
        "script", "secret", "task_token", "token", "value",
    }
)  # fmt: skip
_TRACEBACK: Final = "exception"


def set_up(level: str, form: str, *, stream: TextIO | None = None) -> None:
    """Log to *stream*, stderr unless given, from *level* on, as json or console."""
    stream = stream or sys.stderr
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            structlog.processors.format_exc_info,
            harmless,
            _renderer(form, is_coloured=stream.isatty()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(file=stream),
        cache_logger_on_first_use=True,
    )
    # asyncio and gRPC log what goes wrong in them by the standard library.
    logging.basicConfig(level=logging.WARNING, handlers=[_Forwarder()], force=True)


def harmless(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Replace what must not be logged; cut the rest, and keep it on its line."""
    return {key: _harmless_value(key, value) for key, value in event.items()}


def _harmless_value(key: str, value: Any) -> Any:
    if key in _NEVER:
        return "(not logged)"
    if value is None or isinstance(value, bool | int | float):
        return value
    text = str(value)
    if key == _TRACEBACK:
        return "\n".join(map(_one_line, _cut(text, TRACEBACK_MAX).splitlines()))
    return _one_line(_cut(text, VALUE_MAX))


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]}..."


def _one_line(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode()
        for each in text
    )


def _renderer(form: str, *, is_coloured: bool) -> Processor:
    if form == "json":
        return structlog.processors.JSONRenderer()
    return structlog.dev.ConsoleRenderer(
        colors=is_coloured,
        timestamp_key="time",
        exception_formatter=structlog.dev.plain_traceback,
    )


# `exc_info` is among them, and meant.
_OF_RECORDS = ({*vars(logging.makeLogRecord({})), "message", "asctime"}) - {
    "exc_info",
    "stack_info",
}


class _Forwarder(logging.Handler):
    """Hands the lines of the standard library's loggers on."""

    def emit(self, record: logging.LogRecord) -> None:
        fields: MutableMapping[str, Any] = {"logger": record.name}
        if record.exc_info:
            fields["exc_info"] = record.exc_info
        logger = structlog.get_logger()
        say = logger.error if record.levelno >= logging.ERROR else logger.warning
        say(record.getMessage(), **fields)


def _out_of_the_way(_: Any, __: str, fields: EventDict) -> EventDict:
    """Rename fields whose names the standard library's records have themselves."""
    return {
        f"{name}_" if name in _OF_RECORDS else name: fields[name] for name in fields
    }


def hand_over() -> None:
    """Log to the standard library's loggers, unless somebody has decided otherwise."""
    if structlog.is_configured():
        return
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            harmless,
            _out_of_the_way,
            structlog.stdlib.render_to_log_kwargs,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
