"""When a failed call is tried again, and what the next attempt must know.

The record of a call's failed attempts is kept in the store's index, so that retries go
on where they were after a restart.  It holds the policy, too: the one in force at the
first failure holds for all attempts of the call.
"""

import base64
import json
from dataclasses import dataclass

from starflow_service.engine.events import Failure, Retryability, RetryPolicy
from starflow_service.runtime.codec import Codec

DEFAULT_POLICY = RetryPolicy()


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """The failed attempts of a call."""

    # How many have failed; lost workers do not count.
    failed: int
    # The number of the next attempt; every delivery counts.
    next_attempt: int
    # When the next one may start.
    due_ns: int
    # The delivery that failed last, so that its report is recognised when sent again.
    delivery: str
    failure: Failure
    progress: str | None
    # None: the function has none.
    policy: RetryPolicy | None


def retry_delay_ns(
    policy: RetryPolicy | None, failure: Failure, failed: int
) -> int | None:
    """
    Return the delay before the next attempt after *failed* failures; None: no more.

    Without a policy a failure is retried only if it says RETRYABLE, then by the default
    policy.  The backoff is exponential and has no jitter: calls of different runs fail
    at different times already, and a person can foresee it.
    """
    if failure.retryability is Retryability.PERMANENT:
        return None
    if policy is None:
        if failure.retryability is not Retryability.RETRYABLE:
            return None
        policy = DEFAULT_POLICY
    if failure.code in policy.non_retryable_codes or failed >= policy.max_attempts:
        return None
    if failure.retry_delay_ns is not None:
        return failure.retry_delay_ns
    longest = 100 * policy.initial_ns if policy.max_ns is None else policy.max_ns
    try:
        return int(min(policy.initial_ns * policy.coefficient ** (failed - 1), longest))
    except OverflowError:
        return longest


def encode_record(record: AttemptRecord, codec: Codec) -> bytes:
    """Return *record* as bytes."""
    policy = record.policy
    fields = {
        "failed": record.failed,
        "next_attempt": record.next_attempt,
        "due_ns": record.due_ns,
        "delivery": record.delivery,
        "failure": base64.b64encode(codec.encode_failure(record.failure)).decode(),
        "progress": record.progress,
        "policy": policy
        and [
            policy.initial_ns,
            policy.coefficient,
            policy.max_ns,
            policy.max_attempts,
            list(policy.non_retryable_codes),
        ],
    }
    return json.dumps(fields).encode()


def decode_record(data: bytes, codec: Codec) -> AttemptRecord:
    """Return the record that *data* holds."""
    fields = json.loads(data)
    failure = codec.decode_failure(base64.b64decode(fields.pop("failure")))
    policy = fields.pop("policy")
    return AttemptRecord(
        failure=failure,
        policy=None if policy is None else RetryPolicy(*policy),
        **fields,
    )
