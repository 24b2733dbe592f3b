"""Talks to the service over one stream: tasks in, results and heartbeats out.

Two threads work on it.  One opens the stream, again and again, and reads what comes.
The other is gRPC's own: whenever the last message has left it asks for the next, and
gets whatever has gathered meanwhile.  So a lone result leaves at once, and the busier
the worker, the more results, credit and heartbeats leave together.

A result that was sent is kept until it is acknowledged.  When the stream breaks off it
is sent again on the next one, which begins with a list of all tasks held: who held a
task when a server died has a second or two to say so.
"""

import logging
import threading
from collections.abc import Callable

from starflow._connection import Backoff
from starflow._worker.link import Link, may_help_later
from starflow._worker.outage import Outage
from starflow._worker.outbox import Report
from starflow._worker.wire import Desk, Wire
from starflow.errors import RequestError

_logger = logging.getLogger("starflow.worker")
# After so many streams that were not answered, although the service answers other
# requests, something on the way is taken not to know streams.
_BARREN_MAX = 3


class Stream:
    """The worker's side of WorkStream, over as many streams as it takes."""

    def __init__(
        self,
        link: Link,
        desk: Desk,
        outage: Outage,
        on_unsupported: Callable[[], None],
    ) -> None:
        self._link = link
        self._desk = desk
        self._outage = outage
        # Called in the end, if streams turn out not to work on the way to the service.
        self._on_unsupported = on_unsupported
        self._backoff = Backoff(most_seconds=0.5)
        self._lock = threading.Lock()
        self._wire = self._new_wire()
        self._is_draining = self._is_closing = False
        self._hurry = threading.Event()
        self._barren = 0
        self._thread = threading.Thread(
            target=self._loop, name="starflow-stream", daemon=True
        )

    def start(self) -> None:
        """Open the stream."""
        self._desk.outbox.on_put = self._wake
        self._thread.start()

    def beat_soon(self) -> None:
        """Renew the leases now, and not at the end of the interval."""
        self._wire.beat_soon()

    def drain(self) -> None:
        """Take no more tasks, and give back those that come all the same."""
        with self._lock:
            self._is_draining = True
            self._wire.drain()

    def close(self, timeout_seconds: float) -> None:
        """Report what is left, as far as that is possible in the time, and end."""
        with self._lock:
            self._is_closing = True
            self._wire.close()
        self._thread.join(timeout_seconds)
        self._hurry.set()
        self._link.stop_polling()
        self._thread.join()

    def _wake(self) -> None:
        self._wire.wake()

    def _loop(self) -> None:
        while True:
            wire = self._wire
            error = self._talk(wire)
            self._take_back(wire.end(), error)
            self._desk.ledger.forget_credit()
            if self._is_done():
                return
            if error is not None:
                self._outage.failed(error)
            if not wire.is_welcome and self._is_unsupported(error):
                _logger.warning("no streams on the way to the service: %s", error)
                self._on_unsupported()
                return
            if wire.is_welcome:
                self._barren = 0
                self._backoff.reset()
            at_least = None if error is None else error.retry_after_seconds
            self._hurry.wait(self._backoff.next_seconds(at_least))
            self._renew_wire()

    def _talk(self, wire: Wire) -> RequestError | None:
        """Read a stream to its end; return why it broke off, if it did."""
        try:
            for response in self._link.stream(wire.messages()):
                self._outage.answered()
                wire.received(response)
        except RequestError as error:
            return error
        return None

    def _take_back(self, reports: list[Report], error: RequestError | None) -> None:
        """Send results again that a stream has left unanswered, on the next one."""
        if error is None or may_help_later(error):
            self._desk.outbox.put_back(reports)
            return
        # The stream was refused, perhaps for what it carried: each on its own, then.
        _logger.error("the stream was refused: %s", error)
        for report in reports:
            self._report(report)

    def _report(self, report: Report) -> None:
        outbox = self._desk.outbox
        try:
            (completion,) = self._link.complete([report.result])
        except RequestError as error:
            if may_help_later(error):
                outbox.put_back([report])
            else:
                outbox.give_up(report, error)
        else:
            outbox.judged(report, completion)

    def _is_done(self) -> bool:
        is_told = self._is_closing and not self._desk.outbox
        return is_told or self._hurry.is_set()

    def _is_unsupported(self, error: RequestError | None) -> bool:
        if error is not None and error.status == "UNIMPLEMENTED":
            return True
        try:
            self._link.register()
        except RequestError as refusal:
            if not may_help_later(refusal):
                _logger.error("the worker is refused: %s", refusal)
            return False
        self._barren += 1
        return self._barren >= _BARREN_MAX

    def _new_wire(self) -> Wire:
        return Wire(self._desk, self._link.heartbeat_seconds, self._link.cut_stream)

    def _renew_wire(self) -> None:
        with self._lock:
            self._wire = self._new_wire()
            if self._is_draining:
                self._wire.drain()
            if self._is_closing:
                self._wire.close()
