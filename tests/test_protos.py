"""Rules of the API that buf does not know, and buf's own."""

import keyword
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.descriptor import (
    Descriptor,
    EnumDescriptor,
    FieldDescriptor,
    FileDescriptor,
    MethodDescriptor,
)

from starflow.v1 import (
    event_pb2,
    failure_pb2,
    payload_pb2,
    queue_service_pb2,
    replica_service_pb2,
    retry_pb2,
    run_pb2,
    worker_service_pb2,
    workflow_service_pb2,
)

ROOT = Path(__file__).parents[1]
FILES: list[FileDescriptor] = [
    module.DESCRIPTOR
    for module in (
        event_pb2,
        failure_pb2,
        payload_pb2,
        queue_service_pb2,
        replica_service_pb2,
        retry_pb2,
        run_pb2,
        worker_service_pb2,
        workflow_service_pb2,
    )
]

# A client compares the reason it got with these, so none may go or change its number;
# a new one is added here on purpose.
ERROR_REASONS = {
    "FIELD_INVALID": 1,
    "PAYLOAD_INVALID": 2,
    "TOO_LARGE": 3,
    "SCRIPT_INVALID": 4,
    "RUN_NOT_FOUND": 6,
    "SCRIPT_NOT_FOUND": 7,
    "RUN_ID_CONFLICT": 8,
    "RUN_FINISHED": 9,
    "SIGNAL_NOT_EXPECTED": 11,
    "SIGNAL_CONFLICT": 12,
    "VERSION_OUT_OF_RANGE": 13,
    "WORKER_NOT_REGISTERED": 14,
    "RATE_LIMITED": 17,
    "STORE_UNAVAILABLE": 18,
    "SERVER_DRAINING": 19,
    "FUNCTION_UNKNOWN": 20,
    "INTERNAL": 21,
    "SIGNALS_FULL": 22,
    "RUN_DELETED": 23,
    "RUN_NOT_FINISHED": 24,
    "RUN_MOVING": 25,
}


def messages() -> Iterator[Descriptor]:
    waiting = [m for file in FILES for m in file.message_types_by_name.values()]
    while waiting:
        message = waiting.pop()
        # The entries of a map are messages of protobuf's own.
        if not message.GetOptions().map_entry:
            yield message
            waiting += message.nested_types


def fields() -> Iterator[FieldDescriptor]:
    for message in messages():
        yield from message.fields


def enums() -> Iterator[EnumDescriptor]:
    for file in FILES:
        yield from file.enum_types_by_name.values()
    for message in messages():
        yield from message.enum_types


def methods() -> Iterator[MethodDescriptor]:
    for file in FILES:
        for service in file.services_by_name.values():
            yield from service.methods


def test_no_file_is_left_out():
    on_disk = {p.name for p in (ROOT / "protos/starflow/v1").glob("*.proto")}

    assert {Path(file.name).name for file in FILES} == on_disk


def test_no_field_is_named_by_a_python_keyword():
    """Such a field could be reached by getattr only, and buf does not mind."""
    assert [f.full_name for f in fields() if keyword.iskeyword(f.name)] == []


def test_zero_means_unspecified_in_every_enum():
    zeros = [enum.values_by_number[0].name for enum in enums()]

    assert zeros
    assert [name for name in zeros if not name.endswith("_UNSPECIFIED")] == []


def test_every_method_has_a_request_and_a_response_of_its_own():
    """Only such a message can get a field for one method without bothering others."""
    for method in methods():
        assert method.input_type.full_name == f"starflow.v1.{method.name}Request"
        assert method.output_type.full_name == f"starflow.v1.{method.name}Response"


def test_counts_are_numbers_in_json_too():
    """Protobuf's JSON writes 64-bit integers as strings, which grpcurl shows."""
    wide = {
        f.full_name
        for f in fields()
        # Nobody but servers reads that file.
        if f.type == FieldDescriptor.TYPE_INT64
        and f.file is not replica_service_pb2.DESCRIPTOR
    }

    assert wide == {
        "starflow.v1.RandIntEvent.value",
        "starflow.v1.Limits.max_steps",
        "starflow.v1.Limits.max_allocated_bytes",
    }


def test_the_reasons_of_errors_are_these():
    prefix = "ERROR_REASON_"
    defined = dict(failure_pb2.ErrorReason.items())

    assert defined.pop(f"{prefix}UNSPECIFIED") == 0
    assert {name.removeprefix(prefix): n for name, n in defined.items()} == (
        ERROR_REASONS
    )


def test_style_comments_compatibility_and_generated_code_are_right():
    """`buf lint` with COMMENTS fails on a field, message or method without one."""
    check = subprocess.run(
        [sys.executable, "scripts/check_protos.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert check.returncode == 0, check.stdout + check.stderr


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        (
            "  // The run's id, unique in its namespace.\n",
            "",
            "should have a non-empty comment",
        ),
        ("  string run_id = 2;", "  string runId = 2;", "lower_snake_case"),
    ],
)
def test_buf_sees_a_broken_rule(tmp_path, before, after, complaint):
    """The configuration that `make lint` uses has teeth."""
    for name in ("buf.yaml", *(p.relative_to(ROOT) for p in sources())):
        copy = tmp_path / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        text = (ROOT / name).read_text()
        if copy.name == "run.proto":
            assert before in text
            text = text.replace(before, after)
        copy.write_text(text)

    lint = subprocess.run(
        [Path(sys.executable).with_name("buf"), "lint"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert lint.returncode != 0
    assert complaint in lint.stdout


def sources() -> Iterator[Path]:
    return (ROOT / "protos").rglob("*.proto")
