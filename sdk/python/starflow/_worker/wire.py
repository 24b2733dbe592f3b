"""One stream to the service, from hello to its end."""

import itertools
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import grpc

from starflow._worker.beats import beats_of, news_of
from starflow._worker.executor import Executor
from starflow._worker.ledger import HeldTask, Ledger
from starflow._worker.outbox import Outbox, Report
from starflow._worker.signs import Signs
from starflow.v1 import worker_service_pb2 as pb

_logger = logging.getLogger("starflow.worker")
_INVALID_ARGUMENT = grpc.StatusCode.INVALID_ARGUMENT.value[0]
# How long a stream may take to be answered at all.
_WELCOME_SECONDS_MAX = 10.0
# How long results are kept back that the service could not take.
_PAUSE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Desk:
    """What every stream of a worker works on."""

    ledger: Ledger
    outbox: Outbox
    executor: Executor
    signs: Signs
    hello: pb.RegisterFunctionRequest
    tasks_max: int


@dataclass(frozen=True, slots=True)
class _Sent:
    """What waits for an acknowledgement."""

    reports: list[Report]
    # Progress by token, and the tasks that made it.
    news: dict[str, str]
    tasks: list[HeldTask]


class Wire:
    """
    Says what there is to say, and takes in what comes.

    Two threads use it: one calls `received`, the other runs `messages`.
    """

    def __init__(
        self, desk: Desk, heartbeat_seconds: float, on_silence: Callable[[], None]
    ) -> None:
        self._desk = desk
        self.heartbeat_seconds = heartbeat_seconds
        # Called when the service says nothing any more.
        self._on_silence = on_silence
        self.is_welcome = False
        # What was sent and not acknowledged, by its sequence.
        self._sent: dict[int, _Sent] = {}
        self._sequences = itertools.count(1)
        # Whatever is taken from the outbox is among what was sent, or was never taken.
        self._lock = threading.Lock()
        self._heard_at = time.monotonic()
        # A new stream begins with a list of all that is held.
        self._is_beat_due = True
        self._beat_at = 0.0
        self._resume_at = 0.0
        self._is_draining = self._said_drain = False
        self._is_closing = self._has_ended = False
        self._wakes: queue.SimpleQueue[None] = queue.SimpleQueue()
        # Whether a wake-up is under way that will see everything done before it.
        self._is_woken = False

    def wake(self) -> None:
        """Look whether there is something to say."""
        # Cleared before the look: so nothing is left lying, and whoever is about to
        # look is not woken again.
        if not self._is_woken:
            self._is_woken = True
            self._wakes.put(None)

    def beat_soon(self) -> None:
        """List what is held now, and not at the end of the interval."""
        self._is_beat_due = True
        self.wake()

    def drain(self) -> None:
        """Take no more tasks; what comes all the same is given back."""
        self._is_draining = True
        self.wake()

    def close(self) -> None:
        """Close our side once everything is said and acknowledged."""
        self._is_closing = True
        self.wake()

    def end(self) -> list[Report]:
        """Say nothing more; return the results that were not acknowledged."""
        with self._lock:
            self._has_ended = True
            unanswered = [r for sent in self._sent.values() for r in sent.reports]
        self._wakes.put(None)
        return unanswered

    # What is said

    def messages(self) -> Iterator[pb.WorkStreamRequest]:
        """Yield what to say, whenever the last message has left."""
        first = self._gather() or pb.WorkStreamRequest()
        first.hello.CopyFrom(self._desk.hello)
        yield first
        while (message := self._next()) is not None:
            yield message

    def _next(self) -> pb.WorkStreamRequest | None:
        while not self._has_ended:
            self._is_woken = False
            message = self._gather()
            if message is not None:
                return message
            if self._is_closing and not (self._sent or self._desk.outbox):
                return None
            self._wait()
        return None

    def _wait(self) -> None:
        now = time.monotonic()
        patience = 2 * self.heartbeat_seconds
        if not self.is_welcome:
            patience = max(patience, _WELCOME_SECONDS_MAX)
        if now - self._heard_at > patience:
            self._on_silence()
        due_at = min(self._beat_at, self._heard_at + patience + 0.1)
        if self._desk.outbox:
            due_at = min(due_at, self._resume_at)
        try:
            self._wakes.get(timeout=max(0.001, due_at - now))
        except queue.Empty:
            return

    def _gather(self) -> pb.WorkStreamRequest | None:
        with self._lock:
            return None if self._has_ended else self._gathered(time.monotonic())

    def _gathered(self, now: float) -> pb.WorkStreamRequest | None:
        outbox = self._desk.outbox
        reports = outbox.take() if outbox and now >= self._resume_at else []
        tasks = [report.held for report in reports if report.news() is not None]
        if is_beat := self._is_beat_due or now >= self._beat_at:
            self._is_beat_due = False
            self._beat_at = now + self.heartbeat_seconds
            tasks = self._desk.ledger.held()
        news = news_of(tasks) if tasks else {}
        credit = self._credit(has_company=bool(reports or is_beat))
        drain = self._is_draining and not self._said_drain
        if not (reports or is_beat or credit or drain):
            return None
        self._said_drain |= drain
        sequence = next(self._sequences)
        self._sent[sequence] = _Sent(reports, news, tasks)
        return pb.WorkStreamRequest(
            sequence=sequence,
            results=[report.result for report in reports],
            tasks=beats_of(tasks, news),
            credit=credit,
            drain=drain,
        )

    def _credit(self, *, has_company: bool) -> int:
        if self._is_draining:
            return 0
        # A message for a single slot costs as much as one for many.
        return self._desk.ledger.grant(self._desk.tasks_max, alone=not has_company)

    # What comes

    def received(self, response: pb.WorkStreamResponse) -> None:
        """Take in one message of the service."""
        self._heard_at = time.monotonic()
        if response.HasField("welcome"):
            self._welcomed(response.welcome)
        for acknowledgement in response.acknowledgements:
            self._acknowledged(acknowledgement)
        if response.tasks:
            self._arrived(response)
        if response.directives:
            self._desk.signs.obey(response.directives)
        self._desk.signs.drained(response.drained)
        if response.acknowledgements and (
            self._is_closing or self._desk.ledger.is_starved
        ):
            self.wake()

    def _welcomed(self, welcome: pb.RegisterFunctionResponse) -> None:
        self.is_welcome = True
        interval = welcome.heartbeat_interval.ToTimedelta().total_seconds()
        self.heartbeat_seconds = interval or self.heartbeat_seconds
        self._beat_at = min(self._beat_at, self._heard_at + self.heartbeat_seconds)
        self.wake()

    def _arrived(self, response: pb.WorkStreamResponse) -> None:
        if self._is_draining:
            self._desk.executor.release(response.tasks, "the worker shuts down")
        else:
            self._desk.executor.start(response.tasks)

    def _acknowledged(self, acknowledgement: pb.Acknowledgement) -> None:
        sent = self._sent.pop(acknowledgement.sequence, None)
        if sent is None:
            return
        outbox = self._desk.outbox
        if acknowledgement.HasField("error"):
            if acknowledgement.error.code != _INVALID_ARGUMENT:
                outbox.put_back(sent.reports)
                self._resume_at = time.monotonic() + _PAUSE_SECONDS
                self.wake()
                return
            message = acknowledgement.error.message
            _logger.error("the progress of tasks is lost: %s", message)
        for held in sent.tasks:
            held.context.progress_sent(sent.news.get(held.token))
        if not acknowledgement.exceptions:
            outbox.applied(sent.reports)
            return
        exceptions = {each.task_token: each for each in acknowledgement.exceptions}
        outbox.applied(r for r in sent.reports if r.held.token not in exceptions)
        for report in sent.reports:
            if (completion := exceptions.get(report.held.token)) is not None:
                outbox.judged(report, completion)
