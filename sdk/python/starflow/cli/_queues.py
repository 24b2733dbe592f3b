"""`starflow queue`, `functions`, `workers` and `replicas`."""

import argparse
import re
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, TypeVar

from starflow._client import Client
from starflow._operations import (
    FunctionInfo,
    QueueInfo,
    Rate,
    ReplicaInfo,
    WorkerInfo,
)
from starflow.cli import _exits, _render

EXAMPLES = (
    "  starflow queue set payments --max-in-flight 5 --rate 10/s --burst 20\n"
    "  starflow queue list\n"
    "  starflow queue delete payments"
)
SET_EXAMPLES = (
    "  starflow queue set payments --max-in-flight 5\n"
    "  starflow queue set mails --rate 100/m\n"
    "  starflow queue set payments --max-in-flight 5 --rate 10/s --burst 20"
)
_RATE = re.compile(r"([0-9]{1,7})/([0-9]{1,7})?(ms|s|m|h|d)")
_UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}


class _Shown(Protocol):
    def to_dict(self) -> dict[str, Any]: ...


T = TypeVar("T", bound=_Shown)


def add_set_arguments(parser: argparse.ArgumentParser) -> None:
    """Let *parser* read what `starflow queue set` takes."""
    parser.add_argument(
        "name",
        metavar="NAME",
        help="the queue: of a function, its module unless its worker names another",
    )
    parser.add_argument(
        "--max-in-flight",
        metavar="N",
        type=_count,
        help="the most tasks that workers may have at a time; as many as there are if"
        " left out",
    )
    parser.add_argument(
        "--rate",
        metavar="N/TIME",
        type=_rate,
        help="how many tasks may be handed out in a time, such as 10/s, 100/5m or 9/h",
    )
    parser.add_argument(
        "--burst",
        metavar="N",
        type=_count,
        help="with --rate: how many of them may be saved up; N of the rate if left out",
    )


async def set_queue(client: Client, options: argparse.Namespace) -> int:
    """Set the limits of a queue."""
    if options.max_in_flight is None and options.rate is None:
        raise _exits.CommandError("give --max-in-flight or --rate, or both")
    if options.burst is not None and options.rate is None:
        raise _exits.CommandError("--burst is for --rate")
    rate = options.rate and Rate(options.rate.tokens, options.rate.per, options.burst)
    queue = await client.set_queue(
        options.name, max_in_flight=options.max_in_flight, rate=rate
    )
    if options.json:
        _render.json_line(queue.to_dict())
    else:
        print(f"{queue.name} is bound to {_limits(queue)}")
    return _exits.OK


async def delete_queue(client: Client, options: argparse.Namespace) -> int:
    """Take the limits of a queue away."""
    deleted = await client.delete_queue(options.name)
    if options.json:
        _render.json_line({"name": options.name, "deleted": deleted})
    elif deleted:
        print(f"{options.name} has no limits any more")
    else:
        print(f"{options.name} had no limits")
    return _exits.OK


async def list_queues(client: Client, options: argparse.Namespace) -> int:
    """Show the queues with limits."""
    head = ("QUEUE", "IN FLIGHT", "WAITING", "OLDEST", "TOKENS", "RATE")
    return await _show(client.list_queues(), head, _queue_row, options)


async def list_functions(client: Client, options: argparse.Namespace) -> int:
    """Show the functions."""
    head = ("FUNCTION", "WORKERS", "QUEUED", "OLDEST", "LEASED", "TIMEOUT", "QUEUE")
    return await _show(client.list_functions(), head, _function_row, options)


async def list_workers(client: Client, options: argparse.Namespace) -> int:
    """Show the workers."""
    head = ("WORKER", "TASKS", "SEEN", "BY", "SDK", "FUNCTIONS")
    return await _show(client.list_workers(), head, _worker_row, options)


async def list_replicas(client: Client, options: argparse.Namespace) -> int:
    """Show the servers of the store."""
    head = ("REPLICA", "ADDRESS", "VERSION", "STARTED", "LEASE", "RUNS", "PARTITIONS")
    return await _show(client.list_replicas(), head, _replica_row, options)


async def _show(
    found: AsyncIterator[T],
    head: Sequence[str],
    row: Callable[[T], Sequence[str]],
    options: argparse.Namespace,
) -> int:
    rows = [head]
    async for info in found:
        if options.json:
            _render.json_line(info.to_dict())
        else:
            rows.append(row(info))
    if len(rows) > 1:
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for each in rows:
            cells = (f"{cell:<{n}}" for cell, n in zip(each, widths, strict=True))
            print("  ".join(cells).rstrip())
    return _exits.OK


def _queue_row(queue: QueueInfo) -> Sequence[str]:
    bound = "" if queue.max_in_flight is None else f"/{queue.max_in_flight}"
    return (
        queue.name,
        f"{queue.in_flight}{bound}",
        str(queue.waiting),
        _ago(queue.oldest_call_time),
        "" if queue.rate is None else f"{queue.tokens:.1f}/{queue.rate.burst}",
        "" if queue.rate is None else _rate_words(queue.rate),
    )


def _function_row(function: FunctionInfo) -> Sequence[str]:
    name = function.name if function.registered else f"{function.name} (unregistered)"
    return (
        name,
        str(function.worker_count),
        str(function.queued),
        _ago(function.oldest_call_time),
        str(function.leased),
        "" if function.call_timeout is None else f"{function.call_timeout:g}s",
        function.queue,
    )


def _worker_row(worker: WorkerInfo) -> Sequence[str]:
    slots = f"/{worker.max_concurrency}" if worker.max_concurrency else ""
    by = worker.connection.lower()
    if worker.draining:
        by = "draining"
    elif not worker.live:
        by = "lost"
    return (
        worker.id,
        f"{worker.held_tasks}{slots}",
        _ago(worker.last_seen_time),
        by,
        worker.sdk,
        " ".join(worker.functions),
    )


def _replica_row(replica: ReplicaInfo) -> Sequence[str]:
    return (
        f"{replica.id} (this)" if replica.answers else replica.id,
        replica.address,
        replica.version,
        _ago(replica.start_time),
        f"{replica.lease_left:.1f}s" if replica.lease_left else "",
        str(replica.runs),
        " ".join(map(str, replica.partitions)),
    )


def _limits(queue: QueueInfo) -> str:
    words = []
    if queue.max_in_flight is not None:
        words.append(f"{queue.max_in_flight} in flight")
    if queue.rate is not None:
        words.append(f"{_rate_words(queue.rate)}, at most {queue.rate.burst} at once")
    return " and ".join(words)


def _rate_words(rate: Rate) -> str:
    per = rate.per if isinstance(rate.per, timedelta) else timedelta(seconds=rate.per)
    for unit in ("d", "h", "m", "s"):
        count, rest = divmod(per, _UNITS[unit])
        if count and not rest:
            return f"{rate.tokens}/{count if count > 1 else ''}{unit}"
    return f"{rate.tokens}/{per / _UNITS['ms']:g}ms"


def _ago(time: datetime | None) -> str:
    """Return how long ago *time* was, in one unit."""
    if time is None:
        return ""
    age = max(timedelta(0), datetime.now(UTC) - time)
    for unit in ("d", "h", "m", "s"):
        if age >= _UNITS[unit]:
            return f"{age // _UNITS[unit]}{unit}"
    return "now"


def _rate(text: str) -> Rate:
    match = _RATE.fullmatch(text)
    if match is None or not int(match[1]) or match[2] == "0":
        problem = f"{text!r} is no rate, such as 10/s, 100/5m or 9/h"
        raise argparse.ArgumentTypeError(problem)
    return Rate(int(match[1]), int(match[2] or 1) * _UNITS[match[3]])


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= 1_000_000:
        problem = f"{text!r} is no number from 1 to 1000000"
        raise argparse.ArgumentTypeError(problem)
    return int(text)
