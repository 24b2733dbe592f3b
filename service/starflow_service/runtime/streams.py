"""One stream of a worker: what may go out on it, as the runtime knows it."""

from collections import deque
from collections.abc import Callable, Sequence

from starflow_service.runtime.calls import Calls
from starflow_service.runtime.clock import Clock
from starflow_service.runtime.errors import FieldInvalidError
from starflow_service.runtime.options import Options
from starflow_service.runtime.pending import Session
from starflow_service.runtime.queues import QueueName
from starflow_service.runtime.types import Directive, Task


class Stream:
    """
    A worker's credit, and the calls and directives that wait to be sent to it.

    Nothing is leased before `take`: what a slow reader is not ready for goes to others.
    """

    def __init__(
        self,
        session: Session,
        calls: Calls,
        clock: Clock,
        options: Options,
        on_news: Callable[[], None],
    ) -> None:
        namespace = session.namespace
        self._session = session
        self._calls = calls
        self._clock = clock
        self._options = options
        # Called when `take` may bring something, or the worker was drained.
        self._on_news = on_news
        self._names = [(namespace, function) for function in session.functions]
        self._credit = 0
        self._was_woken = False
        self._is_closed = False
        # Tasks of other servers, as they came.
        self._fetched: deque[list[Task]] = deque()
        # Whether the last message is still on its way to the worker.
        self.is_sending = False
        session.streams += 1
        session.listeners.add(on_news)
        calls.queues.enter(self)

    # What the queues ask

    @property
    def names(self) -> Sequence[QueueName]:
        """The queues of the functions that the worker offers."""
        return self._names

    @property
    def takes(self) -> bool:
        """Whether the worker would take a task now."""
        return self._credit > 0 and not self.is_sending and self._is_there()

    @property
    def room(self) -> int:
        """How many tasks the worker would take now."""
        return self._credit if self.takes else 0

    def wake(self) -> None:
        """A call is there, perhaps."""
        self._was_woken = True
        self._on_news()

    @property
    def session(self) -> Session:
        """The worker."""
        return self._session

    def begin_fetch(self) -> int:
        """Set half of the credit aside: the other half is for calls of this server."""
        room = (self.room + 1) // 2
        self._credit -= room
        return room

    def end_fetch(self, room: int, tasks: list[Task]) -> bool:
        """Send *tasks* as soon as possible, and use the rest of the credit again."""
        if self._is_closed:
            return False
        self._credit += max(0, room - len(tasks))
        if tasks:
            self._fetched.append(tasks)
        self._on_news()
        return True

    # What the worker says

    def heard(self) -> None:
        """The worker sent something."""
        session = self._session
        was_missed = session.is_silent
        session.heard_of(self._clock.monotonic())
        if was_missed:
            self._on_news()

    def grant(self, tasks: int) -> None:
        """
        Let *tasks* more be taken.

        Raises:
            FieldInvalidError: That is no number of tasks, or more than may be unused.
        """
        most = self._options.max_poll_tasks
        if tasks < 0:
            raise FieldInvalidError("credit", "must not be negative")
        if self._credit + tasks > most:
            raise FieldInvalidError("credit", f"at most {most} may be unused")
        self._credit += tasks
        if self.takes:
            self._calls.queues.has_room(self)
        self._on_news()

    # What goes out

    def take(self, bytes_max: int) -> list[Task]:
        """Lease the oldest calls that credit and *bytes_max* allow."""
        was_woken, self._was_woken = self._was_woken, False
        if self._fetched and not self.is_sending:
            if was_woken or len(self._fetched) > 1:
                self.wake()
            return self._fetched.popleft()
        if not self.takes:
            if was_woken:
                self._calls.queues.pass_on(self)
            return []
        tasks = self._calls.take(
            self._session, self._names, tasks_max=self._credit, bytes_max=bytes_max
        )
        self._credit -= len(tasks)
        if tasks:
            # Behind the others: who was served is not the longest waiting any more.
            self._calls.queues.enter(self)
        elif self._calls.elsewhere is not None:
            # It may have had no room when it was told of calls elsewhere.
            self._calls.elsewhere.wait(self)
        return tasks

    def take_directives(self) -> list[Directive]:
        """Return what the worker must be told."""
        return self._session.take_directives()

    @property
    def is_drained(self) -> bool:
        """Whether the worker gets no more tasks."""
        return self._session.is_drained

    def close(self, *, broke_off: bool) -> None:
        """The stream has ended; if it *broke_off*, the worker may have died."""
        session = self._session
        session.streams -= 1
        session.listeners.discard(self._on_news)
        self._credit = 0
        self._is_closed = True
        self._calls.queues.leave(self)
        if broke_off and not session.streams:
            # Whoever has another stream shows on that one whether it lives.
            self._calls.suspect(session)

    def _is_there(self) -> bool:
        return not (self._session.is_silent or self._session.is_drained)
