"""From gRPC errors to the exceptions of this package: the one place that knows both."""

from collections.abc import Iterable
from typing import Any, cast

import grpc
from google.rpc import error_details_pb2, status_pb2

from starflow import errors
from starflow.errors import RequestError

_DETAILS_KEY = "grpc-status-details-bin"
_DOMAIN = "starflow.v1"

_BY_REASON: dict[str, type[RequestError]] = {
    "FIELD_INVALID": errors.InvalidRequest,
    "PAYLOAD_INVALID": errors.PayloadInvalid,
    "TOO_LARGE": errors.TooLarge,
    "SCRIPT_INVALID": errors.ScriptInvalid,
    "FUNCTION_UNKNOWN": errors.FunctionUnknown,
    "RUN_NOT_FOUND": errors.RunNotFound,
    "SCRIPT_NOT_FOUND": errors.ScriptNotFound,
    "RUN_ID_CONFLICT": errors.RunIdConflict,
    "RUN_DELETED": errors.RunDeleted,
    "SIGNAL_CONFLICT": errors.SignalConflict,
    "RUN_FINISHED": errors.RunFinished,
    "RUN_NOT_FINISHED": errors.RunNotFinished,
    "SIGNAL_NOT_EXPECTED": errors.SignalNotExpected,
    "WORKER_NOT_REGISTERED": errors.WorkerNotRegistered,
    "VERSION_OUT_OF_RANGE": errors.VersionOutOfRange,
    "RATE_LIMITED": errors.RateLimited,
    "SIGNALS_FULL": errors.SignalsFull,
    "STORE_UNAVAILABLE": errors.Unavailable,
    "SERVER_DRAINING": errors.Unavailable,
    "RUN_MOVING": errors.Unavailable,
    "INTERNAL": errors.ServiceFault,
}
# Reasons come first; a newer server may give one that this release does not know.
_BY_STATUS: dict[str, type[RequestError]] = {
    "INVALID_ARGUMENT": errors.InvalidRequest,
    "UNAUTHENTICATED": errors.InvalidRequest,
    "PERMISSION_DENIED": errors.InvalidRequest,
    "UNIMPLEMENTED": errors.InvalidRequest,
    "NOT_FOUND": errors.NotFound,
    "ALREADY_EXISTS": errors.Conflict,
    "FAILED_PRECONDITION": errors.NotPossible,
    "OUT_OF_RANGE": errors.NotPossible,
    "RESOURCE_EXHAUSTED": errors.RateLimited,
    "UNAVAILABLE": errors.Unavailable,
    "ABORTED": errors.Unavailable,
    # The service never ends a call so: it did not answer in time, or something on the
    # way cut the call off.
    "DEADLINE_EXCEEDED": errors.Unavailable,
    "CANCELLED": errors.Unavailable,
}


def request_error(error: grpc.RpcError, address: str) -> RequestError:
    """Return the exception for a failed call to *address*."""
    call = cast(Any, error)
    status: str = call.code().name
    message: str = call.details() or ""
    info, retry_after = _details(call.trailing_metadata() or ())
    if info is None and _is_too_large(status, message):
        return errors.TooLarge(f"over gRPC's message limit: {message}", status=status)
    cls = _BY_STATUS.get(status, errors.ServiceFault)
    if info is not None:
        cls = _BY_REASON.get(info.reason, cls)
    elif status == "INTERNAL":
        # Without details it does not come from the service, which always gives them,
        # but from a connection that broke in the middle of a call.
        cls = errors.Unavailable
    if cls is errors.Unavailable and info is None:
        # gRPC begins with what it tried and ends with what went wrong.
        cause = message.rpartition(": ")[2] or status
        message = f"cannot reach {address}: {cause}"
    return cls(
        message or status,
        status=status,
        reason=info.reason if info is not None else "",
        metadata=info.metadata if info is not None else {},
        retry_after_seconds=retry_after,
    )


def _is_too_large(status: str, message: str) -> bool:
    # gRPC answers a message over 4 MiB like a rate limit, which invites to try again
    # for ever; only the text tells them apart.
    return status == "RESOURCE_EXHAUSTED" and "message larger than max" in message


def _details(
    metadata: Iterable[tuple[str, Any]],
) -> tuple[error_details_pb2.ErrorInfo | None, float | None]:
    info, retry_after = None, None
    for key, value in metadata:
        if key != _DETAILS_KEY:
            continue
        for detail in status_pb2.Status.FromString(value).details:
            if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
                candidate = error_details_pb2.ErrorInfo()
                detail.Unpack(candidate)
                info = candidate if candidate.domain == _DOMAIN else info
            elif detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
                retry = error_details_pb2.RetryInfo()
                detail.Unpack(retry)
                retry_after = retry.retry_delay.ToTimedelta().total_seconds()
    return info, retry_after
