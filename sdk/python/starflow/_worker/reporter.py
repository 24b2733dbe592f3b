"""Sends results to the service, as many at a time as have gathered."""

import queue
import threading
from collections.abc import Callable, Sequence

from starflow._connection import Backoff
from starflow._worker.link import Link, may_help_later
from starflow._worker.outbox import Outbox, Report
from starflow.errors import RequestError, WorkerNotRegistered
from starflow.v1 import worker_service_pb2 as pb


class Reporter:
    """
    The thread that reports results, and keeps on until the service has answered.

    It sends whatever there is as soon as the sending before is answered. So a lone
    result leaves at once, and the busier the worker, the larger the batches.
    """

    def __init__(self, link: Link, outbox: Outbox, beat: Callable[[], None]) -> None:
        self._link = link
        self._outbox = outbox
        self._beat = beat
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()
        # Whether a wake-up is under way that will see everything put in before it.
        self._is_woken = False
        self._is_closing = False
        self._hurry = threading.Event()
        self._thread = threading.Thread(
            target=self._loop, name="starflow-reporter", daemon=True
        )

    def start(self) -> None:
        """Begin to report."""
        self._outbox.on_put = self._look
        self._thread.start()
        self._look()

    def _look(self) -> None:
        # Called after a result was put in, and cleared by the thread before it looks
        # into the outbox: so none is left lying, and a busy thread is not woken.
        if not self._is_woken:
            self._is_woken = True
            self._wake.put(None)

    def close(self, timeout_seconds: float) -> None:
        """Report what is left, as far as that is possible in the time."""
        self._is_closing = True
        self._wake.put(None)
        self._thread.join(timeout_seconds)
        self._hurry.set()
        self._thread.join()

    def _loop(self) -> None:
        while not self._hurry.is_set():
            self._wake.get()
            self._is_woken = False
            while self._outbox and not self._hurry.is_set():
                self._send(self._outbox.take())
            if self._is_closing:
                return

    def _send(self, batch: list[Report]) -> None:
        backoff = Backoff(most_seconds=0.5)
        while True:
            try:
                completions = self._complete(batch)
            except RequestError as error:
                if not may_help_later(error):
                    self._send_apart(batch, error)
                    return
                pause = backoff.next_seconds(error.retry_after_seconds)
                if self._hurry.wait(pause):
                    self._outbox.put_back(batch)
                    return
            else:
                for report, completion in zip(batch, completions, strict=True):
                    self._outbox.judged(report, completion)
                return

    def _complete(self, batch: Sequence[Report]) -> list[pb.Completion]:
        # The next attempt is to see the progress of this one, which only a heartbeat
        # can carry, and only while the task is still held. One may not carry it all.
        while any(report.news() is not None for report in batch):
            self._beat()
        results = [report.result for report in batch]
        try:
            return self._link.complete(results)
        except WorkerNotRegistered:
            self._link.register()
            return self._link.complete(results)

    def _send_apart(self, batch: list[Report], error: RequestError) -> None:
        """Find the result for which a whole batch was refused, and give up on it."""
        if len(batch) > 1:
            middle = len(batch) // 2
            self._send(batch[:middle])
            self._send(batch[middle:])
        else:
            self._outbox.give_up(batch[0], error)
