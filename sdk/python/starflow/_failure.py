"""Failures: why a call or a run did not succeed, as data."""

import os
import re
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf.duration_pb2 import Duration

from starflow import _convert, _json
from starflow._enums import enum_name
from starflow.errors import (
    ConversionError,
    FunctionError,
    PermanentError,
    RetryableError,
)
from starflow.v1 import failure_pb2 as pb
from starflow.v1 import payload_pb2

_PACKAGE = str(Path(__file__).parent) + os.sep
_MESSAGE_BYTES_MAX = 4 * 1024
_STACK_BYTES_MAX = 16 * 1024
_DETAILS_BYTES_MAX = 64 * 1024
_CODE_LENGTH_MAX = 63
_WORD_BORDER = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_kind = enum_name(pb.FailureKind, "FAILURE_KIND_")
_RETRYABLE = {
    pb.RETRYABILITY_UNSPECIFIED: None,
    pb.RETRYABILITY_RETRYABLE: True,
    pb.RETRYABILITY_PERMANENT: False,
}


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a call or a run did not succeed."""

    # Stable and machine-readable, such as CARD_DECLINED.
    code: str
    message: str = ""
    # APPLICATION, TIMEOUT, WORKER_LOST, SCRIPT or INTERNAL.
    kind: str = "APPLICATION"
    # Whether another attempt makes sense; None leaves it to the retry policy.
    retryable: bool | None = None
    retry_delay_seconds: float | None = None
    details: Any = None
    stack_trace: str = ""

    def __str__(self) -> str:
        return f"{self.code}: {self.message}" if self.message else self.code

    def to_dict(self) -> dict[str, Any]:
        """Return what is set, as JSON-ready values."""
        known = {
            "code": self.code,
            "message": self.message,
            "kind": self.kind,
            "retryable": self.retryable,
            "retry_delay_seconds": self.retry_delay_seconds,
            "details": self.details,
            "stack_trace": self.stack_trace,
        }
        return {name: value for name, value in known.items() if value not in (None, "")}


def from_pb(failure: pb.Failure) -> Failure:
    """Return the failure that the service sent."""
    delay = (
        failure.retry_delay.ToTimedelta() if failure.HasField("retry_delay") else None
    )
    kind = failure.kind or pb.FAILURE_KIND_APPLICATION
    return Failure(
        code=failure.code,
        message=failure.message,
        kind=pb.FailureKind.Name(kind).removeprefix("FAILURE_KIND_")
        if kind in pb.FailureKind.values()
        else f"UNKNOWN_{kind}",
        retryable=_RETRYABLE.get(failure.retryability),
        retry_delay_seconds=delay.total_seconds() if delay is not None else None,
        details=_json.decode(failure.details.json) if failure.details.json else None,
        stack_trace=failure.stack_trace,
    )


def to_pb(failure: Failure) -> pb.Failure:
    """
    Return *failure* for the wire; its texts are cut to what the service keeps.

    Raises:
        ConversionError: The details have no JSON form.
    """
    message = pb.Failure(
        code=_clean_code(failure.code),
        message=_clip(failure.message, _MESSAGE_BYTES_MAX),
        stack_trace=_clip_start(failure.stack_trace, _STACK_BYTES_MAX),
    )
    if failure.retryable is not None:
        message.retryability = (
            pb.RETRYABILITY_RETRYABLE
            if failure.retryable
            else pb.RETRYABILITY_PERMANENT
        )
    if failure.retry_delay_seconds is not None:
        message.retry_delay.CopyFrom(duration(failure.retry_delay_seconds))
    if failure.details is not None:
        text = _convert.encode(failure.details)
        message.details.CopyFrom(payload_pb2.Payload(json=text))
    return message


def from_exception(error: BaseException) -> pb.Failure:
    """
    Return what the exception of a function says.

    An ordinary exception leaves it to the retry policy whether to try again; only
    `PermanentError` and `RetryableError` overrule that.
    """
    code, details, retryable, delay = "", None, None, None
    if isinstance(error, FunctionError):
        code, details = error.code, error.details
    if isinstance(error, PermanentError):
        retryable = False
    elif isinstance(error, RetryableError):
        retryable, delay = True, error.delay
    message = _message(error)
    details, lost = _sendable(details)
    return to_pb(
        Failure(
            code=code or _WORD_BORDER.sub("_", type(error).__name__),
            message=f"{message} (details left out: {lost})" if lost else message,
            retryable=retryable,
            retry_delay_seconds=delay,
            details=details,
            stack_trace=_stack(error),
        )
    )


def permanent(code: str, message: str) -> pb.Failure:
    """Return a failure that the SDK itself reports for a function."""
    return to_pb(Failure(code=code, message=message, retryable=False))


def duration(seconds: float) -> Duration:
    """Return *seconds* for the wire."""
    value = Duration()
    value.FromNanoseconds(round(max(seconds, 0.0) * 1e9))
    return value


def _sendable(details: Any) -> tuple[Any, str]:
    """Return *details* as text that can be sent, or None and why it cannot."""
    if details is None:
        return None, ""
    try:
        text = _convert.encode(details)
    except ConversionError as error:
        return None, str(error)
    size = _convert.size_bytes(text)
    if size > _DETAILS_BYTES_MAX:
        return None, f"{size} bytes are more than {_DETAILS_BYTES_MAX}"
    return _json.JsonText(text), ""


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as broken:
        # Somebody's __str__ must not decide whether a failure is reported.
        return f"{type(error).__name__} whose text raises {type(broken).__name__}"


def _stack(error: BaseException) -> str:
    trace = error.__traceback__
    # How the function was called is no news to its author.
    while trace is not None and trace.tb_next is not None:
        if not trace.tb_frame.f_code.co_filename.startswith(_PACKAGE):
            break
        trace = trace.tb_next
    try:
        return "".join(traceback.format_exception(type(error), error, trace))
    except Exception as broken:
        return f"no stack: formatting it raised {type(broken).__name__}"


def _clean_code(code: str) -> str:
    """Return *code* as the service accepts it: [A-Z][A-Z0-9_]*, not its own prefix."""
    code = re.sub(r"[^A-Z0-9_]", "_", code.upper())
    if not re.match(r"[A-Z]", code) or code.startswith("STARFLOW_"):
        code = f"E_{code}"
    return code[:_CODE_LENGTH_MAX]


def _clip(text: str, bytes_max: int) -> str:
    data = text.encode("utf-8", "backslashreplace")
    return data[:bytes_max].decode("utf-8", "ignore")


def _clip_start(text: str, bytes_max: int) -> str:
    # The end of a Python stack is where it happened.
    data = text.encode("utf-8", "backslashreplace")
    return data[-bytes_max:].decode("utf-8", "ignore")
