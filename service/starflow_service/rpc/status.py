"""One table: what the runtime refuses, as gRPC status and reason."""

import grpc
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from starflow.v1 import failure_pb2, worker_service_pb2
from starflow_service.rpc.fields import cut
from starflow_service.rpc.times import set_seconds
from starflow_service.runtime import errors
from starflow_service.runtime.errors import RuntimeRefusal

DOMAIN = "starflow.v1"

# gRPC carries details in a header and drops the whole status when the headers are over
# 16 KiB, and some proxies at 8 KiB; base64 and percent-encoding come on top of these.
MESSAGE_BYTES_MAX = 1024
_ENCODED_MESSAGE_BYTES_MAX = 384
STATUS_BYTES_MAX = 4 * 1024
_VALUE_BYTES_MAX = 256
_VIOLATIONS_MAX = 10

_Code = grpc.StatusCode
_PREFIX = "ERROR_REASON_"

TABLE: dict[type[RuntimeRefusal], tuple[grpc.StatusCode, int]] = {
    errors.FieldInvalidError: (
        _Code.INVALID_ARGUMENT,
        failure_pb2.ERROR_REASON_FIELD_INVALID,
    ),
    errors.PayloadInvalidError: (
        _Code.INVALID_ARGUMENT,
        failure_pb2.ERROR_REASON_PAYLOAD_INVALID,
    ),
    errors.TooLargeError: (
        _Code.INVALID_ARGUMENT,
        failure_pb2.ERROR_REASON_TOO_LARGE,
    ),
    errors.ScriptInvalidError: (
        _Code.INVALID_ARGUMENT,
        failure_pb2.ERROR_REASON_SCRIPT_INVALID,
    ),
    errors.FunctionUnknownError: (
        _Code.INVALID_ARGUMENT,
        failure_pb2.ERROR_REASON_FUNCTION_UNKNOWN,
    ),
    errors.ScriptNotFoundError: (
        _Code.NOT_FOUND,
        failure_pb2.ERROR_REASON_SCRIPT_NOT_FOUND,
    ),
    errors.RunNotFoundError: (
        _Code.NOT_FOUND,
        failure_pb2.ERROR_REASON_RUN_NOT_FOUND,
    ),
    errors.RunIdConflictError: (
        _Code.ALREADY_EXISTS,
        failure_pb2.ERROR_REASON_RUN_ID_CONFLICT,
    ),
    errors.RunFinishedError: (
        _Code.FAILED_PRECONDITION,
        failure_pb2.ERROR_REASON_RUN_FINISHED,
    ),
    errors.RunNotFinishedError: (
        _Code.FAILED_PRECONDITION,
        failure_pb2.ERROR_REASON_RUN_NOT_FINISHED,
    ),
    errors.RunDeletedError: (
        _Code.ALREADY_EXISTS,
        failure_pb2.ERROR_REASON_RUN_DELETED,
    ),
    errors.SignalNotExpectedError: (
        _Code.FAILED_PRECONDITION,
        failure_pb2.ERROR_REASON_SIGNAL_NOT_EXPECTED,
    ),
    errors.SignalConflictError: (
        _Code.ALREADY_EXISTS,
        failure_pb2.ERROR_REASON_SIGNAL_CONFLICT,
    ),
    errors.SignalsFullError: (
        _Code.RESOURCE_EXHAUSTED,
        failure_pb2.ERROR_REASON_SIGNALS_FULL,
    ),
    errors.VersionOutOfRangeError: (
        _Code.OUT_OF_RANGE,
        failure_pb2.ERROR_REASON_VERSION_OUT_OF_RANGE,
    ),
    errors.WorkerNotRegisteredError: (
        _Code.FAILED_PRECONDITION,
        failure_pb2.ERROR_REASON_WORKER_NOT_REGISTERED,
    ),
    errors.RateLimitedError: (
        _Code.RESOURCE_EXHAUSTED,
        failure_pb2.ERROR_REASON_RATE_LIMITED,
    ),
    errors.DrainingError: (
        _Code.UNAVAILABLE,
        failure_pb2.ERROR_REASON_SERVER_DRAINING,
    ),
    errors.RunMovingError: (
        _Code.UNAVAILABLE,
        failure_pb2.ERROR_REASON_RUN_MOVING,
    ),
    errors.StoreDownError: (
        _Code.UNAVAILABLE,
        failure_pb2.ERROR_REASON_STORE_UNAVAILABLE,
    ),
    # Nobody but an operator can mend it; the message says which run.
    errors.LogCorruptedError: (
        _Code.INTERNAL,
        failure_pb2.ERROR_REASON_INTERNAL,
    ),
}
_INTERNAL = (_Code.INTERNAL, failure_pb2.ERROR_REASON_INTERNAL)


class ToldError(Exception):
    """Another server said what the client is to be told."""

    def __init__(self, status: Status) -> None:
        super().__init__(status.message)
        self.status = status


def status_of(error: BaseException, request_id: str) -> Status:
    """
    Return what the client is told of *error*, which ended the request *request_id*.

    Of an error that is no refusal it is told nothing but the id to look for in the log.
    """
    if isinstance(error, ToldError):
        return error.status
    code, reason, message = _told(error, request_id)
    status = Status(code=code.value[0], message=message)
    info = ErrorInfo(domain=DOMAIN, reason=reason, metadata={"request_id": request_id})
    if isinstance(error, RuntimeRefusal):
        info.metadata.update(_metadata(error))
    _add(status, info)
    for detail in _details(error):
        _add(status, detail)
    return status


def rejection_of(error: Exception, request_id: str) -> worker_service_pb2.Rejection:
    """Return what a worker is told of the *error* of one result among many."""
    code, reason, message = _told(error, request_id)
    return worker_service_pb2.Rejection(
        code=code.value[0], reason=reason, message=message
    )


def is_expected(error: BaseException) -> bool:
    """Whether the table has a word for *error*, or another server has found one."""
    return type(error) in TABLE or isinstance(error, ToldError)


def _told(error: BaseException, request_id: str) -> tuple[grpc.StatusCode, str, str]:
    if isinstance(error, RuntimeRefusal):
        code, number = TABLE.get(type(error), _INTERNAL)
        message = str(error)
    else:
        code, number = _INTERNAL
        message = f"internal error {request_id}: the service's log has the details"
    # Each byte that is not printable ASCII travels as three.
    is_plain = message.isascii() and message.isprintable()
    longest = MESSAGE_BYTES_MAX if is_plain else _ENCODED_MESSAGE_BYTES_MAX
    return code, _reason(number), cut(message, longest)


def _reason(number: int) -> str:
    name: str = failure_pb2.ErrorReason.Name(number)
    return name.removeprefix(_PREFIX)


# Details


def _metadata(error: RuntimeRefusal) -> dict[str, str]:
    """Return the facts of *error* that a program may want."""
    return {
        name: cut(str(value), _VALUE_BYTES_MAX)
        for name in ("field", "limit", "run_id", "state", "last_version")
        if (value := getattr(error, name, None)) is not None
    }


def _details(error: BaseException) -> list[Message]:
    details: list[Message] = []
    if violations := _violations(error):
        bad = BadRequest()
        for field, description in violations[:_VIOLATIONS_MAX]:
            bad.field_violations.add(
                field=cut(field, _VALUE_BYTES_MAX),
                description=cut(description, _VALUE_BYTES_MAX),
            )
        details.append(bad)
    retry_s = getattr(error, "retry_s", None)
    if isinstance(error, RuntimeRefusal) and retry_s is not None:
        retry = RetryInfo()
        set_seconds(retry.retry_delay, retry_s)
        details.append(retry)
    return details


def _violations(error: BaseException) -> list[tuple[str, str]]:
    if isinstance(error, errors.FieldInvalidError):
        return [(error.field, error.problem)]
    if isinstance(error, errors.PayloadInvalidError | errors.TooLargeError):
        return [(error.field, str(error))]
    if isinstance(error, errors.ScriptInvalidError):
        return [
            (each.file or "script", f"{line}:{column}: {each.message}")
            for each in error.diagnostics
            for line, column in [each.pos]
        ]
    return []


def _add(status: Status, detail: Message) -> None:
    """Add *detail* as long as the status stays small enough to arrive."""
    packed = status.details.add()
    packed.Pack(detail)
    if status.ByteSize() > STATUS_BYTES_MAX:
        del status.details[-1]
