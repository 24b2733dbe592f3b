"""What the fields of requests may hold; each value is checked where it enters.

Names are narrow on purpose: they become parts of keys in stores, of log lines, and of
what people type.  Nothing that is refused is repeated in the refusal.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Literal

from google.protobuf.duration_pb2 import Duration

from starflow.v1 import (
    failure_pb2,
    queue_service_pb2,
    retry_pb2,
    worker_service_pb2,
)
from starflow_service.engine.events import (
    Failure,
    FailureKind,
    Retryability,
    RetryPolicy,
)
from starflow_service.rpc.times import NS, get_ns
from starflow_service.runtime.errors import FieldInvalidError, TooLargeError
from starflow_service.runtime.types import (
    FunctionSpec,
    QueueLimits,
    QueueRate,
    WorkerInfo,
)

DEFAULT_NAMESPACE = "default"

YEAR_NS = 366 * 24 * 3600 * NS
FUNCTIONS_MAX = 1_000
ATTEMPTS_MAX = 100
MESSAGE_BYTES_MAX = 4 * 1024
REASON_BYTES_MAX = 1024
STACK_TRACE_BYTES_MAX = 16 * 1024
SCHEMA_BYTES_MAX = 64 * 1024
DESCRIPTION_BYTES_MAX = 4 * 1024
LABELS_MAX = 64
IN_FLIGHT_MAX = 1_000_000
TOKENS_MAX = 1_000_000
PERIOD_MAX_NS = 31 * 24 * 3600 * NS
RUN_LABELS_MAX = 16
RUN_LABEL_CHARACTERS_MAX = 128
HEADERS_MAX = 16
HEADER_BYTES_MAX = 1024
_INT32_MAX = 2**31 - 1
_DURATION_SECONDS_MAX = 315_576_000_000  # the bound of google.protobuf.Duration

# What a script loads; a worker's `time.x` could never be called.
RESERVED_MODULES = frozenset(
    {"flow", "hashlib", "json", "math", "rand", "time", "uuid"}
)


@dataclass(frozen=True, slots=True)
class Rule:
    """What a text must look like, as a pattern and in words."""

    pattern: re.Pattern[str]
    words: str

    def check(self, field: str, text: str) -> str:
        """
        Return *text*.

        Raises:
            FieldInvalidError: It breaks the rule.
        """
        if self.pattern.fullmatch(text) is None:
            problem = f"must be {self.words}" if text else f"is required: {self.words}"
            raise FieldInvalidError(field, problem)
        return text


def _rule(pattern: str, words: str = "") -> Rule:
    return Rule(re.compile(pattern, re.ASCII), words or pattern)


_PART = r"[A-Za-z_][A-Za-z0-9_]*"

NAMESPACE = _rule(r"[a-z][a-z0-9-]{0,62}")
RUN_ID = _rule(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
SIGNAL_ID = _rule(r"[!-~]{1,256}", "at most 256 printable ASCII characters, no spaces")
SIGNAL_NAME = _rule(r"[A-Za-z0-9_][A-Za-z0-9._:-]{0,127}")
REQUEST_ID = _rule(r"[!-~]{1,128}", "at most 128 printable ASCII characters, no spaces")
SCRIPT_HASH = _rule(r"[0-9a-f]{64}", "a SHA-256 in lower-case hexadecimal")
QUEUE = _rule(r"[A-Za-z_][A-Za-z0-9_.-]{0,127}")
LABEL = _rule(r"[a-z][a-z0-9._/-]{0,62}")
HEADER = _rule(r"[a-z][a-z0-9._-]{0,62}")
FAILURE_CODE = _rule(r"[A-Z][A-Z0-9_]{0,62}")
FUNCTION = _rule(
    rf"(?=.{{3,255}}\Z){_PART}(?:\.{_PART})+",
    "two or more Starlark identifiers joined by dots, such as payments.charge, at most"
    " 255 characters",
)


def namespace(text: str) -> str:
    """Return the namespace that *text* names; empty names the default."""
    return NAMESPACE.check("namespace", text) if text else DEFAULT_NAMESPACE


def run_id(text: str) -> str:
    """Return *text*, a run's id."""
    return RUN_ID.check("run_id", text)


def labels(field: str, given: Mapping[str, str]) -> dict[str, str]:
    """Return what a run is found by."""
    if len(given) > RUN_LABELS_MAX:
        raise TooLargeError(field, len(given), RUN_LABELS_MAX, "labels")
    for name, value in given.items():
        LABEL.check(f"{field} (name)", name)
        _printable(field, value, RUN_LABEL_CHARACTERS_MAX)
    return dict(given)


def headers(given: Mapping[str, str]) -> dict[str, str]:
    """Return the context of a run."""
    if len(given) > HEADERS_MAX:
        raise TooLargeError("headers", len(given), HEADERS_MAX, "headers")
    for name, value in given.items():
        HEADER.check("headers (name)", name)
        _printable("headers", value, HEADER_BYTES_MAX)
        if not value.isascii():
            raise FieldInvalidError("headers", f"{name} must be ASCII")
    return dict(given)


def worker_id(text: str, field: str = "worker_id", *, is_required: bool = True) -> str:
    """Return *text*, a worker's id."""
    if not text and is_required:
        raise FieldInvalidError(field, "is required")
    return _printable(field, text, 128)


def poll_id(text: str) -> str:
    """Return *text*, a poll's id or nothing."""
    return _printable("poll_id", text, 64)


def request_id(text: str) -> str:
    """Return *text*, the id of a request or nothing."""
    return REQUEST_ID.check("request_id", text) if text else ""


def reason(text: str) -> str:
    """Return *text*, why somebody wants something, for people."""
    return _within("reason", text, REASON_BYTES_MAX)


def functions(names: Iterable[str]) -> list[str]:
    """Return *names*, dotted functions to be polled for."""
    return [
        FUNCTION.check(f"functions[{index}]", name) for index, name in enumerate(names)
    ]


def count(field: str, number: int) -> int:
    """Return *number*, which must not be negative."""
    if number < 0:
        raise FieldInvalidError(field, "must not be negative")
    return number


def _printable(field: str, text: str, longest: int) -> str:
    if len(text) > longest:
        raise FieldInvalidError(field, f"must have at most {longest} characters")
    if not text.isprintable():
        raise FieldInvalidError(field, "must have printable characters only")
    return text


def _within(field: str, text: str, bytes_max: int) -> str:
    size = len(text.encode())
    if size > bytes_max:
        raise TooLargeError(field, size, bytes_max)
    return text


# Durations


def wait_s(message: Duration) -> float:
    """Return how long a call may wait, in seconds; the server's limit comes on top."""
    return _duration_ns("wait", message, longest_ns=_DURATION_SECONDS_MAX * NS) / NS


def _duration_ns(field: str, message: Duration, *, longest_ns: int = YEAR_NS) -> int:
    ns = get_ns(message)
    if abs(message.nanos) >= NS or message.seconds * message.nanos < 0:
        raise FieldInvalidError(field, "is not a duration: nanos does not fit seconds")
    if ns < 0:
        raise FieldInvalidError(field, "must not be negative")
    if ns > longest_ns:
        raise FieldInvalidError(field, f"must be at most {longest_ns // NS} s")
    return ns


def _positive_ns(field: str, message: Duration) -> int:
    ns = _duration_ns(field, message)
    if ns == 0:
        raise FieldInvalidError(field, "must be longer than nothing")
    return ns


def yield_timeout_ns(field: str, message: worker_service_pb2.Yield) -> int | None:
    """Return how long a yielded call waits; None for ever."""
    if not message.HasField("timeout"):
        return None
    return _positive_ns(field, message.timeout)


# Workers and functions


def worker(message: worker_service_pb2.WorkerInfo) -> WorkerInfo:
    """Return who registers."""
    if len(message.labels) > LABELS_MAX:
        raise FieldInvalidError("worker.labels", f"at most {LABELS_MAX}")
    for name, value in message.labels.items():
        _printable("worker.labels", name, 128)
        _printable("worker.labels", value, 256)
    return WorkerInfo(
        worker_id(message.worker_id, "worker.worker_id"),
        _printable("worker.sdk", message.sdk, 128),
        _printable("worker.build_id", message.build_id, 128),
        dict(message.labels),
        count("worker.max_concurrency", message.max_concurrency),
    )


def specs(messages: Iterable[worker_service_pb2.FunctionSpec]) -> list[FunctionSpec]:
    """Return the functions that a worker offers."""
    made: dict[str, FunctionSpec] = {}
    for index, message in enumerate(messages):
        field = f"functions[{index}]"
        spec = _spec(field, message)
        if spec.name in made:
            raise FieldInvalidError(f"{field}.name", "is there twice")
        made[spec.name] = spec
    if len(made) > FUNCTIONS_MAX:
        raise TooLargeError("functions", len(made), FUNCTIONS_MAX, "functions")
    return list(made.values())


def _spec(field: str, message: worker_service_pb2.FunctionSpec) -> FunctionSpec:
    name = FUNCTION.check(f"{field}.name", message.name)
    module = name.partition(".")[0]
    if module in RESERVED_MODULES:
        problem = f"{module} is a module of the language: choose another first part"
        raise FieldInvalidError(f"{field}.name", problem)
    return FunctionSpec(
        name,
        _within(f"{field}.description", message.description, DESCRIPTION_BYTES_MAX),
        _policy(f"{field}.retry_policy", message.retry_policy)
        if message.HasField("retry_policy")
        else None,
        _timeout_ns(field, message, "attempt_timeout"),
        _within(f"{field}.input_schema", message.input_schema, SCHEMA_BYTES_MAX),
        _within(f"{field}.output_schema", message.output_schema, SCHEMA_BYTES_MAX),
        QUEUE.check(f"{field}.queue", message.queue) if message.queue else "",
        _timeout_ns(field, message, "call_timeout"),
    )


def _timeout_ns(
    field: str,
    message: worker_service_pb2.FunctionSpec,
    name: Literal["attempt_timeout", "call_timeout"],
) -> int | None:
    if not message.HasField(name):
        return None
    return _positive_ns(f"{field}.{name}", getattr(message, name))


def queue_limits(field: str, message: queue_service_pb2.QueueLimits) -> QueueLimits:
    """Return the limits of a queue, of which there is at least one."""
    bound = _at_most(
        f"{field}.max_in_flight", message.max_in_flight, IN_FLIGHT_MAX, least=0
    )
    rate = None
    if message.HasField("rate"):
        rate = _rate(f"{field}.rate", message.rate)
    if not bound and rate is None:
        problem = "sets no limit: set max_in_flight or rate, or use DeleteQueue"
        raise FieldInvalidError(field, problem)
    return QueueLimits(bound or None, rate)


def _rate(field: str, message: queue_service_pb2.QueueRate) -> QueueRate:
    tokens = _at_most(f"{field}.tokens", message.tokens, TOKENS_MAX)
    burst = _at_most(f"{field}.burst", message.burst or tokens, TOKENS_MAX)
    period_ns = NS
    if message.HasField("period"):
        period_ns = _duration_ns(f"{field}.period", message.period, longest_ns=YEAR_NS)
        if not NS // 1000 <= period_ns <= PERIOD_MAX_NS:
            raise FieldInvalidError(f"{field}.period", "must be from 1 ms to 31 days")
    return QueueRate(tokens, period_ns // 1000, burst)


def _at_most(field: str, number: int, most: int, *, least: int = 1) -> int:
    if not least <= number <= most:
        raise FieldInvalidError(field, f"must be from {least} to {most}")
    return number


def _policy(field: str, message: retry_pb2.RetryPolicy) -> RetryPolicy:
    coefficient = message.backoff_coefficient or 2.0
    if not (isfinite(coefficient) and 1 <= coefficient <= 1000):
        raise FieldInvalidError(f"{field}.backoff_coefficient", "must be 1 to 1000")
    attempts = count(f"{field}.max_attempts", message.max_attempts) or ATTEMPTS_MAX
    codes = [
        FAILURE_CODE.check(f"{field}.non_retryable_codes[{index}]", code)
        for index, code in enumerate(message.non_retryable_codes)
    ]
    return RetryPolicy(
        _duration_ns(f"{field}.initial_interval", message.initial_interval)
        if message.HasField("initial_interval")
        else NS,
        coefficient,
        _duration_ns(f"{field}.max_interval", message.max_interval)
        if message.HasField("max_interval")
        else None,
        min(attempts, ATTEMPTS_MAX),
        tuple(codes),
    )


# Failures: what a worker says about one must never be lost for its form


def failure(message: failure_pb2.Failure, details: str | None) -> Failure:
    """
    Return the failure that a worker or a client reports, put into shape.

    *details* is the JSON text of its details.
    """
    return Failure(
        failure_code(message.code),
        cut(message.message, MESSAGE_BYTES_MAX),
        FailureKind.APPLICATION,
        _RETRYABILITIES.get(message.retryability, Retryability.UNSPECIFIED),
        _retry_delay_ns(message),
        details,
        cut(message.stack_trace, STACK_TRACE_BYTES_MAX),
    )


_RETRYABILITIES: Mapping[int, Retryability] = {
    each.value: each for each in Retryability
}
_WORDS: Callable[[str], list[str]] = re.compile(
    r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[A-Z]|[0-9]+"
).findall


def failure_code(code: str) -> str:
    """Return *code* in the form of failure codes; ``FAILED`` if nothing is left."""
    is_good = FAILURE_CODE.pattern.fullmatch(code) is not None
    if not is_good:
        code = "_".join(_WORDS(code[:256])).upper().lstrip("_0123456789")[:63]
    # The prefix is the service's own: no worker can speak in its name.
    while code.startswith("STARFLOW_"):
        code = code.removeprefix("STARFLOW_").lstrip("_0123456789")
    return code.rstrip("_") or "FAILED"


def _retry_delay_ns(message: failure_pb2.Failure) -> int | None:
    if not message.HasField("retry_delay"):
        return None
    return max(0, min(get_ns(message.retry_delay), YEAR_NS))


def cut(text: str, bytes_max: int) -> str:
    """Return as much of *text* as *bytes_max* bytes of UTF-8 hold."""
    if len(text) * 4 <= bytes_max:
        return text
    data = text.encode(errors="replace")
    if len(data) <= bytes_max:
        return text
    return data[: bytes_max - 3].decode(errors="ignore") + "..."
