"""The one table of errors."""

import pytest
from google.protobuf.message import Message
from google.rpc.code_pb2 import Code
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo

from starflow.v1 import failure_pb2
from starflow_service.rpc import status
from starflow_service.runtime import errors
from starflow_service.starlark.diagnostics import Diagnostic

DIAGNOSTIC = Diagnostic("error", "SYNTAX_ERROR", "what is this", (3, 7), "mend it")
# One of each, with what the client gets: code, reason, words of the message, details.
CASES = [
    (
        errors.FieldInvalidError("run_id", "is odd"),
        ("INVALID_ARGUMENT", "FIELD_INVALID", "run_id: is odd"),
        [BadRequest],
    ),
    (
        errors.PayloadInvalidError("input", "is odd"),
        ("INVALID_ARGUMENT", "PAYLOAD_INVALID", "input: is odd"),
        [BadRequest],
    ),
    (
        errors.TooLargeError("script", 9, 8),
        ("INVALID_ARGUMENT", "TOO_LARGE", "script: 9 bytes, the limit is 8"),
        [BadRequest],
    ),
    (
        errors.ScriptInvalidError([DIAGNOSTIC, DIAGNOSTIC]),
        ("INVALID_ARGUMENT", "SCRIPT_INVALID", "script:3:7: what is this (mend it)"),
        [BadRequest],
    ),
    (
        errors.FunctionUnknownError({"a.c": "a.b"}),
        ("INVALID_ARGUMENT", "FUNCTION_UNKNOWN", "a.c (did you mean a.b?)"),
        [],
    ),
    (
        errors.ScriptNotFoundError("ab"),
        ("NOT_FOUND", "SCRIPT_NOT_FOUND", "ab: send its text"),
        [],
    ),
    (
        errors.RunNotFoundError("default", "r"),
        ("NOT_FOUND", "RUN_NOT_FOUND", "no run r in namespace default"),
        [],
    ),
    (
        errors.RunIdConflictError("r", "RUNNING", ""),
        ("ALREADY_EXISTS", "RUN_ID_CONFLICT", "run r exists (RUNNING)"),
        [],
    ),
    (
        errors.RunFinishedError("r"),
        ("FAILED_PRECONDITION", "RUN_FINISHED", "run r has finished"),
        [],
    ),
    (
        errors.RunNotFinishedError("r", "RUNNING"),
        ("FAILED_PRECONDITION", "RUN_NOT_FINISHED", "cancel or terminate it first"),
        [],
    ),
    (
        errors.RunDeletedError("r"),
        ("ALREADY_EXISTS", "RUN_DELETED", "run r was deleted"),
        [],
    ),
    (
        errors.SignalNotExpectedError("r", "s", "unknown"),
        ("FAILED_PRECONDITION", "SIGNAL_NOT_EXPECTED", "signal s: unknown"),
        [],
    ),
    (
        errors.SignalConflictError("r", "s"),
        ("ALREADY_EXISTS", "SIGNAL_CONFLICT", "differently"),
        [],
    ),
    (
        errors.SignalsFullError("r", 7),
        ("RESOURCE_EXHAUSTED", "SIGNALS_FULL", "run r holds 7 signals"),
        [RetryInfo],
    ),
    (
        errors.VersionOutOfRangeError(9, 3),
        ("OUT_OF_RANGE", "VERSION_OUT_OF_RANGE", "last version is 3"),
        [],
    ),
    (
        errors.WorkerNotRegisteredError("w"),
        ("FAILED_PRECONDITION", "WORKER_NOT_REGISTERED", "call RegisterFunction"),
        [],
    ),
    (
        errors.RateLimitedError("too much", 2.5),
        ("RESOURCE_EXHAUSTED", "RATE_LIMITED", "try again in 2.5 s"),
        [RetryInfo],
    ),
    (
        errors.DrainingError(),
        ("UNAVAILABLE", "SERVER_DRAINING", "connect again"),
        [],
    ),
    (
        errors.RunMovingError("default/r"),
        ("UNAVAILABLE", "RUN_MOVING", "try again in 1 s"),
        [RetryInfo],
    ),
    (
        errors.StoreDownError("disk on fire"),
        ("UNAVAILABLE", "STORE_UNAVAILABLE", "does not answer"),
        [RetryInfo],
    ),
    (
        errors.LogCorruptedError("r", "event 3"),
        ("INTERNAL", "INTERNAL", "the log of run r is damaged"),
        [],
    ),
]


def unpacked(told, kind: type[Message]):
    """The detail of a kind, or None."""
    for detail in told.details:
        message = kind()
        if detail.Unpack(message):
            return message
    return None


def refusals(base=errors.RuntimeRefusal):
    for kind in base.__subclasses__():
        yield kind
        yield from refusals(kind)


def test_every_refusal_is_in_the_table():
    assert set(status.TABLE) == set(refusals())


def test_every_refusal_is_tested():
    assert [type(error) for error, _, _ in CASES] == list(status.TABLE)


def test_every_reason_of_the_api_is_given_by_something():
    given = {number for _, number in status.TABLE.values()}

    assert given == set(failure_pb2.ErrorReason.values()) - {0}


@pytest.mark.parametrize(
    ("error", "words", "details"), CASES, ids=lambda case: type(case).__name__
)
def test_a_refusal_is_told(error, words, details):
    told = status.status_of(error, "id-1")

    info = unpacked(told, ErrorInfo)
    assert (Code.Name(told.code), info.reason) == words[:2]
    assert words[2] in told.message
    assert info.domain == "starflow.v1"
    assert info.metadata["request_id"] == "id-1"
    assert [k for k in (BadRequest, RetryInfo) if unpacked(told, k)] == details


def test_the_facts_come_as_metadata_too():
    conflict = status.status_of(errors.RunIdConflictError("r", "RUNNING", ""), "id")
    beyond = status.status_of(errors.VersionOutOfRangeError(9, 3), "id")

    assert unpacked(conflict, ErrorInfo).metadata["run_id"] == "r"
    assert unpacked(conflict, ErrorInfo).metadata["state"] == "RUNNING"
    assert unpacked(beyond, ErrorInfo).metadata["last_version"] == "3"


def test_a_violation_names_field_and_problem():
    told = status.status_of(errors.FieldInvalidError("run_id", "is odd"), "id")

    violation = unpacked(told, BadRequest).field_violations[0]
    assert (violation.field, violation.description) == ("run_id", "is odd")


def test_the_time_to_wait_is_told():
    told = status.status_of(errors.RateLimitedError("x", 2.5), "id")

    assert unpacked(told, RetryInfo).retry_delay.ToNanoseconds() == 2_500_000_000


@pytest.mark.parametrize("error", [KeyError("secret"), RuntimeError("/etc/secret")])
def test_nothing_of_a_defect_but_its_id_is_told(error):
    told = status.status_of(error, "id-7")

    assert Code.Name(told.code) == "INTERNAL"
    assert unpacked(told, ErrorInfo).reason == "INTERNAL"
    assert told.message == "internal error id-7: the service's log has the details"
    assert b"secret" not in told.SerializeToString()


@pytest.mark.parametrize("filling", ["x", "\N{EURO SIGN}", "\n"])
def test_a_status_is_small_enough_to_arrive(filling):
    """
    Over 16 KiB of headers gRPC drops the status, and some proxies over 8 KiB.

    The details travel as base64 and the message percent-encoded.
    """
    finding = Diagnostic("error", "X", filling * 5000, (1, 1))
    told = status.status_of(errors.ScriptInvalidError([finding] * 50), "id")

    encoded = sum(1 if 32 <= b < 127 else 3 for b in told.message.encode())
    assert told.ByteSize() <= 4096
    assert encoded + told.ByteSize() * 4 // 3 < 8 * 1024
    assert unpacked(told, ErrorInfo).reason == "SCRIPT_INVALID"


def test_a_rejection_says_what_a_call_would_have():
    rejection = status.rejection_of(errors.TooLargeError("output", 9, 8), "id")

    assert (Code.Name(rejection.code), rejection.reason) == (
        "INVALID_ARGUMENT",
        "TOO_LARGE",
    )
    assert rejection.message == "output: 9 bytes, the limit is 8"
