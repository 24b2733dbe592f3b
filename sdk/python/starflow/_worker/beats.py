"""What a heartbeat says: the tasks held, and how far they are."""

from collections.abc import Mapping, Sequence

from starflow import _convert
from starflow._worker.ledger import HeldTask
from starflow.v1 import worker_service_pb2 as pb

# All leases hang on one message, which must stay below gRPC's limit.
_NEWS_BYTES_MAX = 1024 * 1024


def news_of(tasks: Sequence[HeldTask]) -> dict[str, str]:
    """Return progress yet to be told, by token, as much as one heartbeat can carry."""
    news: dict[str, str] = {}
    size = 0
    # First those whose results wait for it.
    for held in sorted(tasks, key=lambda held: not held.settled):
        text = held.context.unsent_progress()
        if text is not None:
            size += _convert.size_bytes(text)
            if news and size > _NEWS_BYTES_MAX:
                break
            news[held.token] = text
    return news


def beats_of(
    tasks: Sequence[HeldTask], news: Mapping[str, str]
) -> list[pb.TaskHeartbeat]:
    """Return what to say of *tasks*, with the progress in *news*."""
    beats = [pb.TaskHeartbeat(task_token=held.token) for held in tasks]
    for beat in beats:
        if beat.task_token in news:
            beat.progress.json = news[beat.task_token]
    return beats
