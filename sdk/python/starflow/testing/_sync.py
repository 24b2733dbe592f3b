"""The test server for tests without an event loop."""

from collections.abc import Coroutine, Iterable, Mapping
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self, TypeVar, overload

from starflow._bundle import Bundle
from starflow._failure import Failure
from starflow._function import Module
from starflow._loop_thread import LoopThread
from starflow._model import Event, SignalOutcome
from starflow._sync import SyncClient, SyncRun
from starflow.testing._mocks import RecordedCall
from starflow.testing._server import TestServer

T = TypeVar("T")


class SyncTestServer:
    """
    `TestServer` with methods that block; the server lives in a thread of its own.

        with SyncTestServer(modules=[payments]) as server:
            assert server.run(SCRIPT, input={"order_id": "A-1"}) == {"ok": True}

    The worker's async functions run on that thread's event loop.
    """

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
        self._arguments: dict[str, Any] = {
            "now": now,
            "namespace": namespace,
            "patience": patience,
            "concurrency": concurrency,
        }
        self._thread = LoopThread("starflow-test-server")
        self._server = self._thread.call(self._make(list(modules), functions))

    async def _make(
        self, modules: list[Module], functions: Mapping[str, Any] | None
    ) -> TestServer:
        return TestServer(modules, functions, **self._arguments)

    def __enter__(self) -> Self:
        """Start the server, and the worker if it has something to execute."""
        try:
            self._call(self._server.__aenter__())
        except BaseException:
            self._thread.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._call(self._server.__aexit__(kind, error, trace))
        finally:
            self._thread.close()

    @property
    def address(self) -> str:
        """Where the server listens, for clients and workers of other processes."""
        return self._server.address

    @property
    def client(self) -> SyncClient:
        """A client of the server."""
        return SyncClient.attached(self._server.client, self._thread)

    @property
    def now(self) -> datetime:
        """The test's time."""
        return self._server.now

    def calls(self, function: str | None = None) -> list[RecordedCall]:
        """Return what the worker was given to execute, or only calls of *function*."""
        return self._server.calls(function)

    def mock(self, function: str, behaviour: Any) -> None:
        """Let a function do something else; see `TestServer.mock`."""
        self._server.mock(function, behaviour)

    @overload
    def run(
        self,
        script: str | Bundle,
        *,
        input: Any = ...,
        run_id: str | None = ...,
        through_yields: bool = ...,
    ) -> Any: ...
    @overload
    def run(
        self,
        script: str | Bundle,
        *,
        input: Any = ...,
        run_id: str | None = ...,
        through_yields: bool = ...,
        result_type: type[T],
    ) -> T: ...
    def run(
        self,
        script: str | Bundle,
        *,
        input: Any = None,
        run_id: str | None = None,
        through_yields: bool = False,
        result_type: Any = None,
    ) -> Any:
        """Start a run, move the time as far as it needs, and return its output."""
        run = self.client.start(script, input=input, run_id=run_id)
        return self.finish(run, through_yields=through_yields, result_type=result_type)

    @overload
    def finish(self, run: SyncRun | str, *, through_yields: bool = ...) -> Any: ...
    @overload
    def finish(
        self, run: SyncRun | str, *, through_yields: bool = ..., result_type: type[T]
    ) -> T: ...
    def finish(
        self,
        run: SyncRun | str,
        *,
        through_yields: bool = False,
        result_type: Any = None,
    ) -> Any:
        """Move the time until *run* ends; see `TestServer.finish`."""
        return self._call(
            self._server.finish(
                _id(run), through_yields=through_yields, result_type=result_type
            )
        )

    def signal(
        self,
        run: SyncRun | str,
        output: Any = None,
        *,
        name: str | None = None,
        failure: Failure | None = None,
    ) -> SignalOutcome:
        """Deliver a signal; see `TestServer.signal`."""
        return self._call(
            self._server.signal(_id(run), output, name=name, failure=failure)
        )

    def events(self, run: SyncRun | str) -> list[Event]:
        """Return the run's log as it stands when nothing more happens by itself."""
        return self._call(self._server.events(_id(run)))

    def advance(
        self,
        by: timedelta | None = None,
        *,
        days: float = 0,
        hours: float = 0,
        minutes: float = 0,
        seconds: float = 0,
    ) -> None:
        """Move the time on; see `TestServer.advance`."""
        self._call(
            self._server.advance(
                by, days=days, hours=hours, minutes=minutes, seconds=seconds
            )
        )

    def advance_to(self, moment: datetime) -> None:
        """Move the time on to *moment*; see `TestServer.advance_to`."""
        self._call(self._server.advance_to(moment))

    def settle(self) -> None:
        """Wait until nothing more happens unless the time moves, or a signal comes."""
        self._call(self._server.settle())

    def assert_replays(self, run: SyncRun | str) -> None:
        """Replay the run's log; see `TestServer.assert_replays`."""
        self._call(self._server.assert_replays(_id(run)))

    def crash_and_recover(
        self, run: SyncRun | str | None = None, *, at_version: int | None = None
    ) -> None:
        """Kill the server and start it again; see `TestServer.crash_and_recover`."""
        self._call(
            self._server.crash_and_recover(
                None if run is None else _id(run), at_version=at_version
            )
        )

    def _call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self._thread.call(coroutine)


def _id(run: SyncRun | str) -> str:
    return run if isinstance(run, str) else run.id
