"""Events as bytes and back, exactly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starflow.v1 import event_pb2
from starflow_service.engine import events
from starflow_service.engine.events import (
    Failure,
    FailureKind,
    Retryability,
    RetryPolicy,
)
from starflow_service.rpc.codec import ProtoCodec
from starflow_service.runtime.types import FunctionSpec

codec = ProtoCodec()

NOW = 1_763_645_000_123_456_789
FAILURE = Failure(
    "CARD_DECLINED",
    "no money left \N{MONEY WITH WINGS}",
    FailureKind.TIMEOUT,
    Retryability.PERMANENT,
    retry_delay_ns=1_500_000_001,
    details='{"left": 0.10}',
    stack_trace="line 1\nline 2",
)
BIG = "1" * 5000
EVENTS = [
    events.Start(1, NOW, "ab" * 32, f'{{"n":{BIG}}}', 1),
    events.Start(1, 0, "", "null", 0),
    events.Call(2, NOW, "a.b", "1.0", "2-x"),
    events.Return(3, NOW, 2, "1", 4, "w", "boot.7"),
    events.Return(3, NOW, 2, FAILURE, 4, "", ""),
    events.Return(3, NOW, 2, Failure("F", ""), 0, "", ""),
    events.Yield(4, NOW, 2, "2-x", None, "w", "boot.7"),
    events.Yield(4, NOW, 2, "2-x", 0, "", ""),
    events.Yield(4, NOW, 2, "2-x", NOW + 1, "", ""),
    events.Resume(5, NOW, 2, "2-x", '"x"'),
    events.Resume(5, NOW, 2, "2-x", FAILURE),
    events.Sleep(6, NOW, NOW + 1),
    events.Sleep(6, NOW, 0),
    events.TimeNow(7, NOW, NOW),
    events.TimeNow(7, NOW, 0),
    events.RandInt(8, NOW, 0),
    events.RandInt(8, NOW, 2**63 - 1),
    events.Finish(9, NOW, "null"),
    events.Finish(9, NOW, Failure("F", "", details="null", retry_delay_ns=0)),
    events.Signal(10, NOW, "2-x", "[]"),
    events.Signal(10, NOW, "2-x", FAILURE),
    events.Wake(11, NOW, 6),
    events.Wake(11, NOW, 0),
    events.Start(1, NOW, "", "null", 1, "5eed"),
    events.Start(1, NOW, "", "null", 1, "5eed", {"a": "1"}, {"b": "2"}),
    events.Call(
        2, NOW, "a.b", "1", "2-x", NOW + 1, 5, RetryPolicy(1, 1.5, 3, 4, ("X",))
    ),
    events.Call(2, NOW, "a.b", "1", "2-x", 0, 0, RetryPolicy(non_retryable_codes=())),
    events.Sleep(6, NOW, NOW + 1, explicit_wake=True),
    events.Signal(10, NOW, "", "[]", "approval", "request-1"),
    events.Wait(12, NOW, "approval", None),
    events.Wait(12, NOW, "approval", 0),
    events.Cancel(13, NOW, ""),
    events.Cancel(13, NOW, "not needed any more"),
    events.Drop(14, NOW, ()),
    events.Drop(14, NOW, (3, 7)),
    events.Status(15, NOW, '{"text": "half done"}'),
    events.Restart(16, NOW, "[1]"),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.NAME)
def test_an_event_comes_back_as_it_was(event):
    assert codec.decode(codec.encode(event)) == event


def test_every_kind_of_event_is_among_them():
    kinds = set(events.Event.__args__) - {events.Unknown}

    assert {type(event) for event in EVENTS} == kinds


def test_the_type_says_what_the_detail_is():
    for event in EVENTS:
        message = event_pb2.Event.FromString(codec.encode(event))
        name = event_pb2.EventType.Name(message.type).removeprefix("EVENT_TYPE_")
        detail = message.WhichOneof("detail")

        assert (name, detail) == (event.NAME, f"{event.NAME.lower()}_event")


@given(st.integers(0, 253_402_300_799_999_999_999))
def test_times_are_exact_to_the_nanosecond(ns):
    event = events.TimeNow(1, ns, ns)

    assert codec.decode(codec.encode(event)) == event


def test_an_event_of_a_later_release_keeps_its_place():
    # Field 99 is a detail that this release has never heard of.
    later = event_pb2.Event(version=7, type=42).SerializeToString() + b"\x9a\x06\x01x"

    assert codec.decode(later) == events.Unknown(7, 0, 42)


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xff\xff",
        b"",
        event_pb2.Event(version=7).SerializeToString(),
        event_pb2.Event(version=7, type=2).SerializeToString(),
        event_pb2.Event(type=42).SerializeToString(),
    ],
)
def test_what_is_no_event_is_refused(data):
    with pytest.raises(ValueError, match="event"):
        codec.decode(data)


def test_a_payload_without_text_is_null():
    message = event_pb2.Event(version=1, type=1, start_event={"script_hash": "x"})

    assert codec.decode(message.SerializeToString()).input == "null"


def test_numbers_of_a_later_release_do_not_lose_the_failure():
    message = event_pb2.Event(version=1, type=9)
    message.finish_event.failure.code = "F"
    message.finish_event.failure.kind = 99
    message.finish_event.failure.retryability = 99

    assert codec.decode(message.SerializeToString()).result == Failure("F", "")


def test_half_a_surrogate_pair_in_a_message_is_replaced():
    event = events.Finish(1, 0, Failure("F", "a\ud800b", stack_trace="\udfff"))

    result = codec.decode(codec.encode(event)).result

    assert (result.message, result.stack_trace) == ("a?b", "?")


def test_a_failure_comes_back_as_it_was():
    assert codec.decode_failure(codec.encode_failure(FAILURE)) == FAILURE


@pytest.mark.parametrize(
    "spec",
    [
        FunctionSpec("a.b"),
        FunctionSpec(
            "a.b",
            "does it",
            RetryPolicy(0, 1.5, 7_000_000_001, 9, ("X", "Y")),
            3_600_000_000_001,
            '{"type": "object"}',
            "{}",
        ),
        FunctionSpec("a.b", retry=RetryPolicy()),
    ],
)
def test_a_specification_comes_back_as_it_was(spec):
    assert codec.decode_spec(codec.encode_spec(spec)) == spec


def test_garbage_is_no_failure_and_no_specification():
    with pytest.raises(ValueError, match="failure"):
        codec.decode_failure(b"\xff")
    with pytest.raises(ValueError, match="specification"):
        codec.decode_spec(b"\xff")
