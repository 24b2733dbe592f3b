"""Talks to a service that knows no streams, one request after the other."""

from typing import Protocol

from starflow._worker.executor import Executor
from starflow._worker.heart import Heart
from starflow._worker.ledger import Ledger
from starflow._worker.link import Link
from starflow._worker.outage import Outage
from starflow._worker.outbox import Outbox
from starflow._worker.poller import Poller
from starflow._worker.presence import Presence
from starflow._worker.registration import Registration
from starflow._worker.reporter import Reporter
from starflow._worker.signs import Signs


class Line(Protocol):
    """One of the ways to talk to the service.  The worker is registered."""

    def start(self) -> None:
        """Begin to take tasks, to renew their leases, and to report their results."""
        ...

    def beat_soon(self) -> None:
        """Renew the leases now, and not at the end of the interval."""
        ...

    def drain(self) -> None:
        """Take no more tasks, and give back those that come all the same."""
        ...

    def close(self, timeout_seconds: float) -> None:
        """Report what is left, as far as that is possible in the time, and end."""
        ...


class Unary:
    """Polls, reports and heartbeats, each in a thread of its own."""

    def __init__(
        self,
        link: Link,
        ledger: Ledger,
        outbox: Outbox,
        executor: Executor,
        registration: Registration,
        signs: Signs,
        outage: Outage,
        *,
        tasks_max: int,
    ) -> None:
        self._link = link
        self._heart = Heart(link, ledger, signs, outage)
        self._presence = Presence(link, ledger, signs)
        self._reporter = Reporter(link, outbox, self._heart.beat)
        self._poller = Poller(
            link, ledger, executor, self._heart, registration, signs, tasks_max
        )

    def start(self) -> None:
        """Begin, in threads."""
        self._reporter.start()
        self._heart.start()
        self._presence.start()
        self._link.on_lost(self._heart.beat_soon)
        self._poller.start()

    def beat_soon(self) -> None:
        """Send a heartbeat now."""
        self._heart.beat_soon()

    def drain(self) -> None:
        """Poll no more."""
        self._poller.stop()
        # A poll that breaks off may be its worker's death.  What is still under way
        # must not be given to somebody else because of that.
        self._heart.beat_soon()

    def close(self, timeout_seconds: float) -> None:
        """Report the rest, and end the threads."""
        self._reporter.close(timeout_seconds)
        self._presence.stop()
        self._heart.stop()
