"""A server within another program, for the tests of that program.

It is the real one: the same runtime behind the same gRPC server.  What differs is what
`app.py` would choose: a store in memory, and a clock that stands still until it is
moved.  It can be killed and started again in place, with its store and its port.

Moving the time is of use only if everything that the time before could bring about has
come about.  `settle` waits for that: until no timer is due, no script can go on, and
each open call waits for a later attempt.  What a worker keeps for too long is left out.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable

from starflow_backends.memory import MemoryStore
from starflow_backends.store import Append, PermitAnswer, PermitRequest, Phase
from starflow_service import logs
from starflow_service.engine.errors import LogCorruptError
from starflow_service.engine.verify import verify
from starflow_service.rpc.codec import ProtoCodec
from starflow_service.rpc.server import Server
from starflow_service.rpc.workflow_service import StoreFacts
from starflow_service.runtime.clock import MovableClock
from starflow_service.runtime.options import Options
from starflow_service.runtime.programs import Programs
from starflow_service.runtime.runtime import Runtime
from starflow_service.runtime.types import NS, CallState, CallWait

_HOST = "127.0.0.1"
_DUE_MAX = 1_000_000
_PAGE = 1000
# The clock by which stores give tokens counts microseconds.
_TICK_NS = 2000

# Something that is under way and moves without the time being moved.
Doing = Hashable


class _Store(MemoryStore):
    """A memory store that tells when something was written."""

    def __init__(self, clock: Callable[[], int], changed: asyncio.Event) -> None:
        super().__init__(clock=clock)
        self._changed = changed

    def append(self, append: Append) -> Awaitable[None]:
        future = super().append(append)
        self._changed.set()
        return future

    async def permits(self, request: PermitRequest) -> PermitAnswer:
        answer = await super().permits(request)
        self._changed.set()
        return answer


class Embedded:
    """
    A server in this process.

    `open`, use its `address`, `close`; all on one event loop.
    """

    def __init__(
        self,
        now_ns: int,
        *,
        options: Options | None = None,
        is_hanging: Callable[[str, int], bool] = lambda task_id, attempt: False,
    ) -> None:
        self.clock = MovableClock(now_ns)
        self._options = options or Options()
        # Whether an attempt of a task is known to wait for nothing but the time.
        self._is_hanging = is_hanging
        self._changed = asyncio.Event()
        self._store = _Store(self.clock.now_ns, self._changed)
        self._port = 0
        self._runtime: Runtime
        self._server: Server
        # What did not move for so long that it is not waited for any more.
        self._given_up: set[Doing] = set()

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"{_HOST}:{self._port}"

    async def open(self) -> None:
        """Start to serve."""
        logs.hand_over()
        await self._store.open()
        await self._start()

    async def close(self) -> None:
        """Stop; the store is gone then, too."""
        await self._server.stop(0)
        await self._runtime.close()
        await self._store.close()

    async def crash(self, *, cut: tuple[str, str, int] | None = None) -> None:
        """
        Die as a process does that is killed, and start again on the same store.

        *cut* is a namespace, a run id, and the version after which the run's log ends
        as if the death had come then.
        """
        held = self._runtime.leased_tasks()
        await self._server.kill()
        await self._runtime.close()
        if cut is not None:
            namespace, run_id, version = cut
            self._store.cut(f"{namespace}/{run_id}", version)
        await self._start()
        # A worker says at once what it has; nobody else need be waited for.
        self._runtime.end_grace(held)

    async def _start(self) -> None:
        codec = ProtoCodec()
        self._runtime = Runtime(self._store, codec, self._options, self.clock)
        facts = StoreFacts(self._store.kind, self._store.durability.value)
        self._server = Server(self._runtime, facts)
        self._port = self._server.bind(_HOST, self._port)
        await self._runtime.open()
        await self._server.start()

    # Time

    def touch(self) -> None:
        """Look again at what is under way: something else than the store changed."""
        self._changed.set()

    async def settle(self, patience_s: float) -> None:
        """
        Wait until nothing more happens by itself.

        What has not moved for *patience_s* is not waited for any more.
        """
        while True:
            self._changed.clear()
            doing = await self._doing() - self._given_up
            if not doing:
                return
            try:
                async with asyncio.timeout(patience_s):
                    await self._changed.wait()
            except TimeoutError:
                self._given_up |= doing

    async def next_ns(self) -> int | None:
        """Return when the next thing happens that waits for the time; None: nothing."""
        answer = await self._store.timers_due(limit=_DUE_MAX)
        times = [] if answer.next_due_ns is None else [answer.next_due_ns]
        now_ns = self.clock.now_ns()
        left_s = self._runtime.first_timeout_s()
        if left_s is not None:
            times.append(now_ns + max(0, int(left_s * NS)))
        token_s = self._runtime.permits.first_token_s()
        if token_s is not None:
            # Rounded up: a token that is nearly there is none.
            times.append(now_ns + int(token_s * NS) + _TICK_NS)
        return min(times, default=None)

    async def move_to(self, now_ns: int) -> None:
        """Let it be *now_ns*, and what is due then happen."""
        moved_ns = now_ns - self.clock.now_ns()
        self.clock.move_to(now_ns)
        self._runtime.time_moved(moved_ns / NS)
        await self._runtime.permits.ask_again()

    async def _doing(self) -> set[Doing]:
        due = (await self._store.timers_due(limit=_DUE_MAX)).due
        doing: set[Doing] = {("timer", each) for each in due}
        left_s = self._runtime.first_timeout_s()
        if left_s is not None and left_s <= 0:
            doing.add("an attempt that has taken too long")
        doing.update([("script", key) for key in await self._in(Phase.RUNNABLE)])
        for key in await self._in(Phase.CALLING):
            doing |= await self._calls_of(key)
        return doing

    async def _in(self, phase: Phase) -> list[str]:
        found: list[str] = []
        while page := await self._store.runs_in(
            (phase,), after=found[-1] if found else "", limit=_PAGE
        ):
            found += page
        return found

    async def _calls_of(self, key: str) -> set[Doing]:
        """Return the open calls of a run that move by themselves."""
        namespace, _, run_id = key.partition("/")
        view = await self._runtime.get_run(namespace, run_id)
        calls = [wait for wait in view.waits if isinstance(wait, CallWait)]
        return {
            (key, call.call_version, call.attempt, call.worker_id)
            for call in calls
            if not self._waits_for_time(key, call)
        }

    def _waits_for_time(self, key: str, call: CallWait) -> bool:
        if call.next_attempt_ns is not None:
            return True
        if call.state is CallState.QUEUE_LIMIT:
            # Unless it waits for others that are under way.
            return bool(self._runtime.permits.first_token_s())
        task_id = f"{key}/{call.call_version}"
        return bool(call.worker_id) and self._is_hanging(task_id, call.attempt)

    # Looks

    async def check_replay(self, namespace: str, run_id: str) -> str:
        """
        Replay the log of a run that stands still; return where its script leaves it.

        Raises:
            RunNotFoundError: There is no such run.
        """
        view = await self._runtime.get_run(namespace, run_id)
        codec = ProtoCodec()
        data = await self._store.read(f"{namespace}/{run_id}")
        programs = Programs(self._store, self._options.limits, programs_max=1)
        program = await programs.load(view.script_hash)
        try:
            log = [codec.decode(each) for each in data]
            return verify(program, log, self._options.limits)
        except (LogCorruptError, ValueError) as error:
            return str(error)
