"""What becomes of a task, as the service is told."""

from typing import Any

from starflow import _convert, _failure
from starflow._context import WaitForSignal
from starflow.errors import ConversionError
from starflow.v1 import failure_pb2, payload_pb2
from starflow.v1 import worker_service_pb2 as pb


def returned(token: str, value: Any, bytes_max: int) -> pb.TaskResult:
    """Return the result for what a function returned, which may be a failure."""
    if type(value) is WaitForSignal:
        return _yielded(token, value)
    try:
        text = _convert.encode(value)
    except ConversionError as error:
        return permanent(token, "BAD_OUTPUT", f"what the function returned: {error}")
    size = _convert.size_bytes(text)
    if size > bytes_max:
        problem = f"the function returned {size} bytes, more than {bytes_max}"
        return permanent(token, "OUTPUT_TOO_LARGE", problem)
    return pb.TaskResult(task_token=token, output=payload_pb2.Payload(json=text))


def failed(token: str, error: BaseException) -> pb.TaskResult:
    """Return the result for what a function raised."""
    return _failed(token, _failure.from_exception(error))


def permanent(token: str, code: str, message: str) -> pb.TaskResult:
    """Return a failure that the SDK found, and that every attempt would find again."""
    return _failed(token, _failure.permanent(code, message))


def released(token: str, reason: str) -> pb.TaskResult:
    """Return the result of a task that goes back unexecuted."""
    return pb.TaskResult(task_token=token, release=pb.Release(reason=reason))


def _failed(token: str, failure: failure_pb2.Failure) -> pb.TaskResult:
    return pb.TaskResult(task_token=token, failure=failure)


def _yielded(token: str, value: WaitForSignal) -> pb.TaskResult:
    result = pb.TaskResult(task_token=token)
    result.wait_for_signal.SetInParent()
    if value.timeout_seconds is not None:
        timeout = _failure.duration(value.timeout_seconds)
        result.wait_for_signal.timeout.CopyFrom(timeout)
    return result
