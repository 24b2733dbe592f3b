"""What the fields of requests may hold."""

import pytest
from google.protobuf.duration_pb2 import Duration
from hypothesis import given
from hypothesis import strategies as st

from starflow.v1 import failure_pb2, retry_pb2
from starflow.v1 import worker_service_pb2 as pb
from starflow_service.engine.events import (
    Failure,
    FailureKind,
    Retryability,
    RetryPolicy,
)
from starflow_service.rpc import fields
from starflow_service.runtime.errors import FieldInvalidError, TooLargeError
from starflow_service.runtime.types import FunctionSpec, WorkerInfo

# What people try when they try to break things.
HOSTILE = [
    "a b",
    "a\n",
    "a\r\nb",
    "a\0",
    "a}b{",
    "{ns}",
    "*",
    "../x",
    "a/b",
    "'; DROP",
    "\N{RIGHT-TO-LEFT OVERRIDE}x",
    "\N{GRINNING FACE}",
    "\N{CYRILLIC SMALL LETTER A}",
    "x" * 1_000_000,
]


@pytest.mark.parametrize("text", ["a", "team-1", "z" * 63])
def test_a_namespace_is_taken(text):
    assert fields.namespace(text) == text


def test_no_namespace_means_the_default():
    assert fields.namespace("") == "default"


@pytest.mark.parametrize("text", [*HOSTILE, "A", "1a", "-a", "a_b", "a" * 64])
def test_a_bad_namespace_is_refused(text):
    with pytest.raises(
        FieldInvalidError, match=r"namespace: must be \[a-z\]"
    ) as caught:
        fields.namespace(text)

    assert text not in str(caught.value)


@pytest.mark.parametrize("text", ["o-1", "A.b_c:d-9", "1", "x" * 128])
def test_a_run_id_is_taken(text):
    assert fields.run_id(text) == text


@pytest.mark.parametrize("text", [*HOSTILE, "-a", ".a", "x" * 129])
def test_a_bad_run_id_is_refused(text):
    with pytest.raises(FieldInvalidError, match="run_id: must be") as caught:
        fields.run_id(text)

    assert text == "*" or text not in str(caught.value)


def test_a_missing_run_id_is_said_to_be_missing():
    with pytest.raises(FieldInvalidError, match="run_id: is required"):
        fields.run_id("")


@pytest.mark.parametrize(
    "text", ["me", "payments-7f9c/4711/k3x9", "a b", "\u00e4" * 128]
)
def test_a_worker_id_is_taken(text):
    assert fields.worker_id(text) == text


@pytest.mark.parametrize("text", ["", "a\n", "\x1b[31m", "x" * 129])
def test_a_bad_worker_id_is_refused(text):
    with pytest.raises(FieldInvalidError, match="worker_id"):
        fields.worker_id(text)


def test_a_poll_id_may_be_missing_but_not_long():
    assert fields.poll_id("") == ""
    assert fields.poll_id("x" * 64) == "x" * 64
    with pytest.raises(FieldInvalidError, match="at most 64 characters"):
        fields.poll_id("x" * 65)


@pytest.mark.parametrize("name", ["a.b", "_a.b_1.C", "x" * 253 + ".y"])
def test_a_function_is_taken(name):
    assert fields.specs([pb.FunctionSpec(name=name)]) == [FunctionSpec(name)]
    assert fields.functions([name]) == [name]


@pytest.mark.parametrize(
    "name", [*HOSTILE, "", "a", "a.", ".a", "a..b", "a.1b", "a.b-c", "x" * 254 + ".y"]
)
def test_a_bad_function_is_refused(name):
    with pytest.raises(FieldInvalidError, match=r"functions\[0\]\.name"):
        fields.specs([pb.FunctionSpec(name=name)])
    with pytest.raises(FieldInvalidError, match=r"functions\[1\]"):
        fields.functions(["a.b", name])


@pytest.mark.parametrize(
    "module", ["time", "rand", "math", "json", "flow", "uuid", "hashlib"]
)
def test_the_languages_modules_cannot_be_registered(module):
    with pytest.raises(
        FieldInvalidError, match=f"{module} is a module of the language"
    ):
        fields.specs([pb.FunctionSpec(name=f"{module}.x")])


def test_a_function_registered_twice_is_refused():
    with pytest.raises(
        FieldInvalidError, match=r"functions\[1\]\.name: is there twice"
    ):
        fields.specs([pb.FunctionSpec(name="a.b"), pb.FunctionSpec(name="a.b")])


def test_too_many_functions_are_refused():
    specs = [pb.FunctionSpec(name=f"a.f{n}") for n in range(1001)]

    with pytest.raises(TooLargeError, match="1001 functions, the limit is 1000"):
        fields.specs(specs)


def test_an_empty_retry_policy_is_that_of_the_api():
    spec = pb.FunctionSpec(name="a.b", retry_policy=retry_pb2.RetryPolicy())

    assert fields.specs([spec])[0].retry == RetryPolicy(10**9, 2.0, None, 100)


def test_a_specification_is_taken_whole():
    spec = pb.FunctionSpec(
        name="a.b",
        description="does it",
        retry_policy=retry_pb2.RetryPolicy(
            initial_interval=Duration(seconds=0, nanos=5),
            backoff_coefficient=1.5,
            max_interval=Duration(seconds=60),
            max_attempts=1,
            non_retryable_codes=["A", "B_1"],
        ),
        attempt_timeout=Duration(seconds=7),
        call_timeout=Duration(seconds=8),
        input_schema="{}",
        output_schema="[]",
    )

    assert fields.specs([spec]) == [
        FunctionSpec(
            "a.b",
            "does it",
            RetryPolicy(5, 1.5, 60 * 10**9, 1, ("A", "B_1")),
            7 * 10**9,
            "{}",
            "[]",
            call_timeout_ns=8 * 10**9,
        )
    ]


@pytest.mark.parametrize(
    ("policy", "problem"),
    [
        ({"backoff_coefficient": 0.5}, "backoff_coefficient: must be 1 to 1000"),
        ({"backoff_coefficient": float("nan")}, "backoff_coefficient"),
        ({"backoff_coefficient": float("inf")}, "backoff_coefficient"),
        ({"max_attempts": -1}, "max_attempts: must not be negative"),
        ({"initial_interval": Duration(seconds=-1)}, "initial_interval: must not be"),
        ({"max_interval": Duration(seconds=10**9)}, "max_interval: must be at most"),
        ({"non_retryable_codes": ["A", "b"]}, r"non_retryable_codes\[1\]: must be"),
    ],
)
def test_a_bad_retry_policy_is_refused(policy, problem):
    spec = pb.FunctionSpec(name="a.b", retry_policy=retry_pb2.RetryPolicy(**policy))

    with pytest.raises(
        FieldInvalidError, match=rf"functions\[0\]\.retry_policy\.{problem}"
    ):
        fields.specs([spec])


@pytest.mark.parametrize("seconds", [0, -1, 10**9])
@pytest.mark.parametrize("field", ["attempt_timeout", "call_timeout"])
def test_a_bad_timeout_is_refused(field, seconds):
    spec = pb.FunctionSpec(name="a.b", **{field: Duration(seconds=seconds)})

    with pytest.raises(FieldInvalidError, match=rf"functions\[0\]\.{field}: must "):
        fields.specs([spec])


def test_long_texts_of_a_function_are_refused():
    with pytest.raises(TooLargeError, match="description: 4098 bytes"):
        fields.specs([pb.FunctionSpec(name="a.b", description="\u00e4" * 2049)])
    with pytest.raises(TooLargeError, match="input_schema"):
        fields.specs([pb.FunctionSpec(name="a.b", input_schema="x" * 65_537)])


def test_a_worker_is_taken_whole():
    message = pb.WorkerInfo(
        worker_id="w",
        sdk="by-hand/1",
        build_id="abc",
        labels={"zone": "a"},
        max_concurrency=4,
    )

    assert fields.worker(message) == WorkerInfo(
        "w", "by-hand/1", "abc", {"zone": "a"}, 4
    )


@pytest.mark.parametrize(
    ("message", "field"),
    [
        (pb.WorkerInfo(), "worker.worker_id"),
        (pb.WorkerInfo(worker_id="w", sdk="a\nb"), "worker.sdk"),
        (pb.WorkerInfo(worker_id="w", build_id="x" * 129), "worker.build_id"),
        (pb.WorkerInfo(worker_id="w", labels={"a\n": "b"}), "worker.labels"),
        (pb.WorkerInfo(worker_id="w", labels={"a": "b\n"}), "worker.labels"),
        (
            pb.WorkerInfo(worker_id="w", labels={str(n): "" for n in range(65)}),
            "worker.labels",
        ),
        (pb.WorkerInfo(worker_id="w", max_concurrency=-1), "worker.max_concurrency"),
    ],
)
def test_a_bad_worker_is_refused(message, field):
    with pytest.raises(FieldInvalidError) as caught:
        fields.worker(message)

    assert caught.value.field == field


@pytest.mark.parametrize(
    ("duration", "seconds"),
    [
        (Duration(), 0.0),
        (Duration(seconds=5, nanos=500_000_000), 5.5),
        (Duration(seconds=315_576_000_000), 315_576_000_000.0),
    ],
)
def test_a_wait_is_taken(duration, seconds):
    assert fields.wait_s(duration) == seconds


@pytest.mark.parametrize(
    "duration",
    [
        Duration(seconds=-1),
        Duration(nanos=-1),
        Duration(nanos=10**9),
        Duration(seconds=1, nanos=-1),
        Duration(seconds=2**62),
    ],
)
def test_a_bad_wait_is_refused(duration):
    with pytest.raises(FieldInvalidError, match="wait: "):
        fields.wait_s(duration)


def test_a_yield_without_a_timeout_waits_for_ever():
    assert fields.yield_timeout_ns("t", pb.Yield()) is None
    assert fields.yield_timeout_ns("t", pb.Yield(timeout=Duration(nanos=1))) == 1
    with pytest.raises(FieldInvalidError, match="longer than nothing"):
        fields.yield_timeout_ns("t", pb.Yield(timeout=Duration()))


def test_a_failure_is_taken_as_the_functions_own():
    message = failure_pb2.Failure(
        code="CARD_DECLINED",
        message="no money",
        kind=failure_pb2.FAILURE_KIND_INTERNAL,
        retryability=failure_pb2.RETRYABILITY_PERMANENT,
        retry_delay=Duration(seconds=3),
        stack_trace="line",
    )

    assert fields.failure(message, "[1]") == Failure(
        "CARD_DECLINED",
        "no money",
        FailureKind.APPLICATION,
        Retryability.PERMANENT,
        3 * 10**9,
        "[1]",
        "line",
    )


@pytest.mark.parametrize(
    ("code", "taken"),
    [
        ("CARD_DECLINED", "CARD_DECLINED"),
        ("CardDeclined", "CARD_DECLINED"),
        ("card-declined!", "CARD_DECLINED"),
        ("HTTPError404", "HTTP_ERROR_404"),
        ("java.io.IOException", "JAVA_IO_IO_EXCEPTION"),
        ("404", "FAILED"),
        ("", "FAILED"),
        ("\N{GRINNING FACE}\n", "FAILED"),
        ("STARFLOW_TIMEOUT", "TIMEOUT"),
        ("starflow STARFLOW_ x", "X"),
        ("STARFLOW_", "FAILED"),
        ("A" * 100, "A" * 63),
    ],
)
def test_a_failure_code_is_put_into_shape(code, taken):
    assert fields.failure_code(code) == taken


@given(st.text())
def test_every_failure_gets_a_good_code(code):
    taken = fields.failure_code(code)

    assert fields.FAILURE_CODE.check("code", taken) == taken
    assert not taken.startswith("STARFLOW_")


def test_long_texts_of_a_failure_are_cut():
    message = failure_pb2.Failure(
        code="F", message="\N{EURO SIGN}" * 4096, stack_trace="x" * 100_000
    )

    failure = fields.failure(message, None)

    assert len(failure.message.encode()) in range(4090, 4097)
    assert failure.message.endswith("\N{EURO SIGN}...")
    assert len(failure.stack_trace) == 16 * 1024


@pytest.mark.parametrize(("seconds", "years"), [(-5, 0), (10**11, 1)])
def test_a_retry_delay_that_cannot_be_is_the_nearest_that_can(seconds, years):
    message = failure_pb2.Failure(code="F", retry_delay=Duration(seconds=seconds))

    assert fields.failure(message, None).retry_delay_ns == years * fields.YEAR_NS


@given(st.text(), st.integers(3, 200))
def test_a_cut_text_has_no_more_bytes_than_allowed(text, bytes_max):
    cut = fields.cut(text, bytes_max)

    assert len(cut.encode()) <= bytes_max
    assert cut == text or text.startswith(cut.removesuffix("..."))
