"""From exceptions to failures, and back."""

import asyncio

import pytest

import starflow
from starflow import _failure
from starflow.v1 import failure_pb2 as pb


class HTTPError(Exception): ...


class CardDeclined(starflow.PermanentError): ...


class StarflowThing(Exception): ...


class Mute(Exception):
    def __str__(self):
        raise RuntimeError


def raised(error: BaseException) -> pb.Failure:
    """What is reported when a function raises *error*."""
    try:
        raise error
    except BaseException as caught:
        return _failure.from_exception(caught)


POLICY = pb.RETRYABILITY_UNSPECIFIED
PERMANENT = pb.RETRYABILITY_PERMANENT
RETRYABLE = pb.RETRYABILITY_RETRYABLE


@pytest.mark.parametrize(
    ("error", "code", "message", "retryability"),
    [
        (ValueError("bad"), "VALUE_ERROR", "bad", POLICY),
        (HTTPError("x"), "HTTP_ERROR", "x", POLICY),
        (KeyError("k"), "KEY_ERROR", "'k'", POLICY),
        (TimeoutError(), "TIMEOUT_ERROR", "", POLICY),
        (SystemExit(1), "SYSTEM_EXIT", "1", POLICY),
        (asyncio.CancelledError(), "CANCELLED_ERROR", "", POLICY),
        (StarflowThing("x"), "E_STARFLOW_THING", "x", POLICY),
        (Mute(), "MUTE", "Mute whose text raises RuntimeError", POLICY),
        (starflow.PermanentError("no"), "PERMANENT_ERROR", "no", PERMANENT),
        (starflow.PermanentError("no", code="GONE"), "GONE", "no", PERMANENT),
        (starflow.PermanentError("no", code="not-so 1"), "NOT_SO_1", "no", PERMANENT),
        (starflow.PermanentError("no", code="1st"), "E_1ST", "no", PERMANENT),
        (CardDeclined("no money"), "CARD_DECLINED", "no money", PERMANENT),
        (starflow.RetryableError("later"), "RETRYABLE_ERROR", "later", RETRYABLE),
    ],
)
def test_an_exception_becomes_a_failure(error, code, message, retryability):
    failure = raised(error)

    assert (failure.code, failure.message) == (code, message)
    assert failure.retryability == retryability
    assert not failure.HasField("details")
    assert not failure.HasField("retry_delay")


def test_details_and_delay_are_carried():
    failure = raised(
        starflow.RetryableError("x", code="BUSY", details={"n": 1}, delay=1.5)
    )

    assert failure.details.json == '{"n":1}'
    assert failure.retry_delay.ToMilliseconds() == 1500


def test_details_that_cannot_be_sent_do_not_hide_the_failure():
    unsendable = raised(starflow.PermanentError("no", details={1: 2}))
    huge = raised(starflow.PermanentError("no", details="x" * 100_000))

    assert not unsendable.HasField("details")
    assert unsendable.message.startswith("no (details left out: the value: the key 1")
    assert not huge.HasField("details")
    assert "100002 bytes" in huge.message


def test_texts_are_cut_to_what_the_service_keeps():
    failure = raised(ValueError("ä" * 10_000 + "\ud800"))

    assert len(failure.message.encode()) == 4096
    assert len(failure.stack_trace.encode()) <= 16 * 1024
    assert raised(ValueError("a\ud800")).message == "a\\ud800"


def test_a_stack_shows_the_function_and_not_its_caller():
    failure = raised(ValueError("bad"))

    assert failure.stack_trace.startswith("Traceback (most recent call last)")
    assert 'test_failure.py", line' in failure.stack_trace
    assert "starflow/_" not in failure.stack_trace


def test_a_failure_survives_the_wire():
    failure = starflow.Failure(
        "GONE",
        "m",
        retryable=False,
        retry_delay_seconds=1.5,
        details=[1, 2.0],
        stack_trace="s",
    )

    assert _failure.from_pb(_failure.to_pb(failure)) == failure
    assert _failure.from_pb(_failure.to_pb(starflow.Failure("A"))) == starflow.Failure(
        "A"
    )


def test_a_kind_of_tomorrow_has_a_name():
    assert _failure.from_pb(pb.Failure(code="A", kind=99)).kind == "UNKNOWN_99"
    assert str(starflow.Failure("A")) == "A"
