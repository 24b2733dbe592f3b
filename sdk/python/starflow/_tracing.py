"""OpenTelemetry, for programs that use it: who has not imported it pays nothing.

A client hands the trace that it is in to the run that it starts, as headers; a worker
executes each attempt in a span of that trace.
"""

import contextlib
import sys
from collections.abc import Iterator

from starflow.v1 import worker_service_pb2 as pb

_NAME = "starflow"


def is_used() -> bool:
    """Return whether this program has imported OpenTelemetry."""
    return "opentelemetry.trace" in sys.modules


def outgoing() -> dict[str, str]:
    """Return the headers that carry the trace of the caller, if it is in one."""
    headers: dict[str, str] = {}
    if is_used():
        from opentelemetry import propagate

        propagate.inject(headers)
    return headers


@contextlib.contextmanager
def attempt(task: pb.Task) -> Iterator[None]:
    """Be in a span for one attempt, as a part of the trace that its run began in."""
    if not is_used():
        yield
        return
    from opentelemetry import propagate, trace

    attributes: dict[str, str | int] = {
        "starflow.run_id": task.run_id,
        "starflow.task_id": task.task_id,
        "starflow.function": task.function,
        "starflow.attempt": task.attempt,
    }
    with trace.get_tracer(_NAME).start_as_current_span(
        task.function,
        context=propagate.extract(dict(task.headers)),
        kind=trace.SpanKind.CONSUMER,
        attributes=attributes,
    ):
        yield
