import pytest

from starflow_service.engine.events import (
    Failure,
    FailureKind,
    Retryability,
    RetryPolicy,
)
from starflow_service.rpc.codec import ProtoCodec
from starflow_service.runtime.attempts import (
    AttemptRecord,
    decode_record,
    encode_record,
    retry_delay_ns,
)
from starflow_service.runtime.types import NS

FAILURE = Failure("F", "m")


@pytest.mark.parametrize(
    ("policy", "delays"),
    [
        (RetryPolicy(max_attempts=4), [1, 2, 4, None]),
        (RetryPolicy(initial_ns=2 * NS, coefficient=1, max_attempts=3), [2, 2, None]),
        (RetryPolicy(max_ns=3 * NS, max_attempts=5), [1, 2, 3, 3, None]),
        (RetryPolicy(max_attempts=10), [1, 2, 4, 8, 16, 32, 64, 100, 100, None]),
        (None, [None]),
    ],
)
def test_delays(policy, delays):
    for failed, delay in enumerate(delays, start=1):
        expected = None if delay is None else delay * NS
        assert retry_delay_ns(policy, FAILURE, failed) == expected


def test_a_huge_backoff_does_not_overflow():
    policy = RetryPolicy(coefficient=1e300, max_attempts=100)
    assert retry_delay_ns(policy, FAILURE, 99) == 100 * NS


def test_the_failures_own_delay_counts_before_the_policys():
    failure = Failure("F", "m", retry_delay_ns=5)
    assert retry_delay_ns(RetryPolicy(), failure, 1) == 5
    assert retry_delay_ns(RetryPolicy(max_attempts=1), failure, 1) is None


def test_a_record_comes_back_as_it_was():
    failure = Failure(
        "F", "m", FailureKind.TIMEOUT, Retryability.RETRYABLE, 7, '{"a":1}', "trace"
    )
    policy = RetryPolicy(1, 1.5, None, 3, ("A", "B"))
    for record in (
        AttemptRecord(1, 2, 3, "d", failure, '"p"', None),
        AttemptRecord(1, 2, 3, "d", failure, None, policy),
    ):
        again = decode_record(encode_record(record, ProtoCodec()), ProtoCodec())
        assert again.failure == record.failure
        assert again.progress == record.progress
        assert (again.policy is None) == (record.policy is None)
        if again.policy:
            assert list(again.policy.non_retryable_codes) == ["A", "B"]
