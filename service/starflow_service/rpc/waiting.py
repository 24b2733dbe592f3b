"""How long a call may wait."""

from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration

from starflow_service.rpc import fields

# What an answer needs to reach the client before its deadline.
_MARGIN_S = 0.5


def wait_budget_s(
    context: grpc.aio.ServicerContext[Any, Any], wait: Duration, *, longest_s: float
) -> float:
    """
    Return for how many seconds a call may wait, so that it never meets its deadline.

    Raises:
        FieldInvalidError: *wait* is not a duration, or negative.
    """
    asked_s = min(fields.wait_s(wait), longest_s)
    if not asked_s:
        return 0.0
    remaining_s = context.time_remaining()
    if remaining_s is None:
        return asked_s
    return max(0.0, min(asked_s, remaining_s - _MARGIN_S))
