"""The test server for async tests."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self, TypeVar, overload

from starflow._bundle import Bundle
from starflow._client import Client
from starflow._failure import Failure
from starflow._function import Module
from starflow._model import Event, RunInfo, SignalOutcome
from starflow._run import Run, outcome
from starflow._worker import Worker
from starflow.errors import StarflowError
from starflow.testing._mocks import Cast, RecordedCall

try:
    from starflow_service.embedded import Embedded
except ModuleNotFoundError as error:
    raise ImportError(
        f"starflow.testing starts a real server, and {error.name} is not installed: "
        "pip install 'starflow-grpc[service]'"
    ) from None

T = TypeVar("T")

_NS = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# A script that sleeps a millisecond at a time must not keep a test for ever.
_STEPS_MAX = 100_000
# How far `finish` goes in the test's time.
_FINISH_DAYS = 3650


class Stuck(AssertionError):
    """A run cannot get on: nothing that it waits for will come by itself."""


class ReplayFailed(AssertionError):
    """A script does something else than its log says that it did."""


class TestServer:
    """
    A server with a client, a worker, and a time that stands still until it is moved.

        async with TestServer(modules=[payments]) as server:
            run = await server.client.start(SCRIPT, input={"order_id": "A-1"})
            await server.advance(days=1)
            assert await run.result() == {"ok": True}

    The worker executes the functions of *modules* on the test's event loop and in
    threads, as in production. *functions* takes the place of some, by dotted name:
    values that are returned, exceptions that are raised, functions that are executed,
    and lists of these, for one call after the other.

    It begins at *now*, the present time if not given. *patience* is how many seconds
    of real time `advance` and `finish` wait for a function before they take it to hang.
    """

    # pytest takes classes of this name for tests.
    __test__ = False

    def __init__(
        self,
        modules: Iterable[Module] = (),
        functions: Mapping[str, Any] | None = None,
        *,
        now: datetime | None = None,
        namespace: str = "default",
        patience: float = 5.0,
        concurrency: int = 64,
    ) -> None:
        self._cast = Cast(on_hang=self._on_hang)
        self._modules = self._cast.modules(modules, functions or {})
        self._namespace = namespace
        self._patience = patience
        self._concurrency = concurrency
        self._start_ns = _to_ns(now or datetime.now(UTC))
        self._embedded: Embedded | None = None
        self._client: Client | None = None
        self._worker: Worker | None = None

    async def __aenter__(self) -> Self:
        """Start the server, and the worker if it has something to execute."""
        self._embedded = Embedded(self._start_ns, is_hanging=self._cast.is_hanging)
        await self._embedded.open()
        self._client = Client(self.address, namespace=self._namespace)
        if self._modules:
            self._worker = Worker(
                self._client,
                modules=self._modules,
                concurrency=self._concurrency,
                grace=0.0,
            )
            await self._worker.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._worker is not None:
            await self._worker.__aexit__(kind, error, trace)
        await self.client.close()
        await self._server.close()

    @property
    def address(self) -> str:
        """Where the server listens, for clients and workers of other processes."""
        return self._server.address

    @property
    def client(self) -> Client:
        """A client of the server."""
        if self._client is None:
            raise _not_entered()
        return self._client

    @property
    def now(self) -> datetime:
        """The test's time."""
        return _from_ns(self._server.clock.now_ns())

    # Functions

    def calls(self, function: str | None = None) -> list[RecordedCall]:
        """Return what the worker was given to execute, or only calls of *function*."""
        calls = list(self._cast.calls)
        return [call for call in calls if function in (None, call.function)]

    def mock(self, function: str, behaviour: Any) -> None:
        """
        Let *function*, one of those given as `functions`, do something else.

        Raises:
            KeyError: It was not given.
        """
        if not self._cast.is_mocked(function):
            raise KeyError(f"{function} is none of the functions of this server")
        self._cast.mock(function, behaviour)

    # Runs

    @overload
    async def run(
        self,
        script: str | Bundle,
        *,
        input: Any = ...,
        run_id: str | None = ...,
        through_yields: bool = ...,
    ) -> Any: ...
    @overload
    async def run(
        self,
        script: str | Bundle,
        *,
        input: Any = ...,
        run_id: str | None = ...,
        through_yields: bool = ...,
        result_type: type[T],
    ) -> T: ...
    async def run(
        self,
        script: str | Bundle,
        *,
        input: Any = None,
        run_id: str | None = None,
        through_yields: bool = False,
        result_type: Any = None,
    ) -> Any:
        """Start a run, move the time as far as it needs, and return its output."""
        run = await self.client.start(script, input=input, run_id=run_id)
        return await self.finish(
            run, through_yields=through_yields, result_type=result_type
        )

    @overload
    async def finish(self, run: Run | str, *, through_yields: bool = ...) -> Any: ...
    @overload
    async def finish(
        self, run: Run | str, *, through_yields: bool = ..., result_type: type[T]
    ) -> T: ...
    async def finish(
        self,
        run: Run | str,
        *,
        through_yields: bool = False,
        result_type: Any = None,
    ) -> Any:
        """
        Move the time from one thing to the next until *run* ends; return its output.

        A run that waits for a signal ends this, too, unless *through_yields*: then the
        time goes on to the end of its wait.

        Raises:
            RunFailed: It failed.
            RunYielded: It waits for a signal.
            RunPaused: The service holds it back.
            Stuck: It waits for something that no time brings.
        """
        handle = self._handle(run)
        until = self.now + timedelta(days=_FINISH_DAYS)
        for _ in range(_STEPS_MAX):
            await self.settle()
            info = await handle.get()
            has_yielded = info.state == "YIELDED" and not through_yields
            if info.finished or info.paused or has_yielded:
                return outcome(info, None, result_type)
            next_ns = await self._server.next_ns()
            if next_ns is None or next_ns > _to_ns(until):
                raise Stuck(_stuck(info))
            await self._server.move_to(next_ns)
        raise Stuck(f"run {handle.id} has not ended after {_STEPS_MAX} steps of time")

    async def signal(
        self,
        run: Run | str,
        output: Any = None,
        *,
        name: str | None = None,
        failure: Failure | None = None,
    ) -> SignalOutcome:
        """
        Deliver a signal by *name*, or to the call that has waited longest for one.

        Raises:
            Stuck: No call of the run waits for a signal.
        """
        handle = self._handle(run)
        if name is not None:
            return await handle.signal(None, output, name=name, failure=failure)
        await self.settle()
        info = await handle.get()
        if not info.signal_ids:
            raise Stuck(f"no call waits for a signal: {_stuck(info)}")
        return await handle.signal(info.signal_ids[0], output, failure=failure)

    async def events(self, run: Run | str) -> list[Event]:
        """Return the run's log as it stands when nothing more happens by itself."""
        await self.settle()
        return [event async for event in self._handle(run).events()]

    # Time

    async def advance(
        self,
        by: timedelta | None = None,
        *,
        days: float = 0,
        hours: float = 0,
        minutes: float = 0,
        seconds: float = 0,
    ) -> None:
        """
        Move the time on, and let all that is due on the way happen in its order.

        Durable sleeps end, waits and attempts time out, failed calls are tried again.
        Leases are left alone: no worker is taken for dead by this.
        """
        own = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
        await self.advance_to(self.now + own + (by or timedelta()))

    async def advance_to(self, moment: datetime) -> None:
        """
        Move the time on to *moment*, as `advance` does.

        Raises:
            ValueError: The moment is past, or without a time zone.
        """
        target = _to_ns(moment)
        if target < self._server.clock.now_ns():
            raise ValueError(f"{moment} is past: it is {self.now}")
        for _ in range(_STEPS_MAX):
            await self.settle()
            next_ns = await self._server.next_ns()
            if next_ns is None or next_ns > target:
                await self._server.move_to(target)
                return
            await self._server.move_to(next_ns)
        raise Stuck(f"it is {self.now} after {_STEPS_MAX} steps, and not yet {moment}")

    async def settle(self) -> None:
        """Wait until nothing more happens unless the time moves, or a signal comes."""
        await self._server.settle(self._patience)

    # Proofs

    async def assert_replays(self, run: Run | str) -> None:
        """
        Replay the run's log, and see that its script does the same again.

        Raises:
            ReplayFailed: It does something else.
        """
        await self.settle()
        handle = self._handle(run)
        finding = await self._server.check_replay(self._namespace, handle.id)
        if finding:
            raise ReplayFailed(f"run {handle.id}: {finding}")

    async def crash_and_recover(
        self, run: Run | str | None = None, *, at_version: int | None = None
    ) -> None:
        """
        Kill the server and start it again; what it had acknowledged is still there.

        With *at_version* it is as if it had died when the run's log had so many
        events: what came after is forgotten, and functions that were called after are
        called again. The worker lives on, and connects again.

        Raises:
            ValueError: The log has less than *at_version* events.
        """
        cut = None
        if (run is None) != (at_version is None):
            raise TypeError("give a run and at_version, or neither")
        if run is not None and at_version is not None:
            await self.settle()
            info = await self._handle(run).get()
            if not 1 <= at_version <= info.version:
                raise ValueError(f"the log has the versions 1 to {info.version}")
            cut = (self._namespace, info.id, at_version)
        await self._server.crash(cut=cut)

    # Parts

    @property
    def _server(self) -> Embedded:
        if self._embedded is None:
            raise _not_entered()
        return self._embedded

    def _handle(self, run: Run | str) -> Run:
        return run if isinstance(run, Run) else self.client.run(run)

    def _on_hang(self) -> None:
        if self._embedded is not None:
            self._embedded.touch()


def _not_entered() -> StarflowError:
    return StarflowError("the server does not run: use it as `async with TestServer()`")


def _stuck(info: RunInfo) -> str:
    """Say what a run waits for."""
    waits = "; ".join(f"{wait.kind} {_words(wait.detail)}" for wait in info.waits)
    return f"run {info.id} is {info.state} and waits for {waits or 'nothing'}"


def _words(detail: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in detail.items())


def _to_ns(moment: datetime) -> int:
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no time zone: give one, such as datetime.UTC")
    # By integers: a float has no room for nanoseconds.
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * _NS + since.microseconds * 1000


def _from_ns(now_ns: int) -> datetime:
    return _EPOCH + timedelta(microseconds=now_ns // 1000)
