"""The worker as its users see it."""

import asyncio
import concurrent.futures
import contextlib
import os
import secrets
import signal
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, Self

from starflow._client import Client
from starflow._connection import ForkGuard
from starflow._function import Function, Module
from starflow._version import version
from starflow._worker.session import Session
from starflow.errors import StarflowError
from starflow.v1 import worker_service_pb2 as pb

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Worker:
    """
    Executes the functions of *modules* for the runs of the client's namespace.

        async with starflow.Client() as client:
            await starflow.Worker(client, modules=[payments]).run()

    At most *concurrency* tasks run at a time: async functions on the event loop of
    `run`, plain ones in threads, and those that want to in processes of their own, of
    which there are up to *processes*, one for each CPU if not given.

    When it is told to stop, by SIGTERM, SIGINT or `stop`, it takes no more tasks, waits
    up to *grace* seconds for those under way, and gives the rest back; a second signal
    ends the grace.
    """

    def __init__(
        self,
        client: Client,
        *,
        modules: Iterable[Module],
        concurrency: int = 64,
        processes: int | None = None,
        grace: float = 20.0,
        build_id: str = "",
        labels: Mapping[str, str] | None = None,
    ) -> None:
        self._functions = _by_name(modules)
        if concurrency < 1:
            raise ValueError(f"concurrency is {concurrency}, but one is the least")
        if processes is not None and processes < 1:
            raise ValueError(f"processes is {processes}, but one is the least")
        self._processes = processes or os.cpu_count() or 1
        self._connection = client.connection
        self._grace = grace
        self._guard = ForkGuard()
        self._info = pb.WorkerInfo(
            worker_id=_new_worker_id(),
            sdk=f"starflow-python/{version()}",
            build_id=build_id,
            labels=labels or {},
            max_concurrency=concurrency,
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._session: Session | None = None
        self._stopping = asyncio.Event()
        self._was_told = False
        self._registered: asyncio.Future[None] | None = None
        self._background: asyncio.Task[None] | None = None

    @property
    def id(self) -> str:
        """The worker's id, different for every worker ever made."""
        return self._info.worker_id

    async def run(self, *, handle_signals: bool = True) -> None:
        """
        Execute tasks until the worker is told to stop.

        While the service cannot be reached it keeps trying. SIGTERM and SIGINT are
        handled if this runs in the main thread, unless *handle_signals* is off.

        Raises:
            InvalidRequest: The service refuses the worker or one of its functions.
        """
        self._open()
        with self._signals() if handle_signals else contextlib.nullcontext():
            await self._serve()

    def stop(self) -> None:
        """Begin to drain; may be called from any thread, and again to end the grace."""
        if self._loop is None:
            self._stopping.set()
            return
        with contextlib.suppress(RuntimeError):  # the loop is closed: nothing to stop
            self._loop.call_soon_threadsafe(self._stop)

    async def __aenter__(self) -> Self:
        """Run in the background; entered as soon as the service knows the worker."""
        registered = self._open()
        self._background = asyncio.create_task(self._serve())
        try:
            await asyncio.wait(
                [registered, self._background], return_when=asyncio.FIRST_COMPLETED
            )
        except asyncio.CancelledError:
            self._background.cancel()
            raise
        if registered.done() and registered.exception() is not None:
            await self._background
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping.set()
        if self._background is not None:
            await self._background

    def _open(self) -> "asyncio.Future[None]":
        self._guard.check()
        if self._loop is not None:
            raise StarflowError("a worker runs once: make a new one")
        self._loop = asyncio.get_running_loop()
        self._registered = self._loop.create_future()
        self._session = Session(
            self._connection,
            self._info,
            self._functions,
            self._loop,
            self._on_registered,
            self._on_drained,
            processes=self._processes,
        )
        return self._registered

    async def _serve(self) -> None:
        assert self._session is not None
        assert self._registered is not None
        grace = 0.0
        self._session.start()
        try:
            await self._stopping.wait()
            grace = self._grace
        finally:
            # Not on the loop, which the functions under way need in order to end.
            await _in_thread(self._session.drain, grace)
        if self._registered.done():
            self._registered.result()

    def _stop(self) -> None:
        if self._was_told and self._session is not None:
            self._session.hurry()
        self._was_told = True
        self._stopping.set()

    def _on_drained(self) -> None:
        assert self._loop is not None
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._stopping.set)

    def _on_registered(self, error: BaseException | None) -> None:
        assert self._loop is not None
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._note_registered, error)

    def _note_registered(self, error: BaseException | None) -> None:
        assert self._registered is not None
        if error is None:
            self._registered.set_result(None)
        else:
            self._registered.set_exception(error)
            self._stopping.set()

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        loop = asyncio.get_running_loop()
        before = {number: signal.getsignal(number) for number in _SIGNALS}
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._stop)
        try:
            yield
        finally:
            for number, handler in before.items():
                loop.remove_signal_handler(number)
                signal.signal(number, handler)


def _by_name(modules: Iterable[Module]) -> dict[str, Function]:
    functions: dict[str, Function] = {}
    for module in modules:
        for function in module:
            if function.name in functions:
                raise ValueError(f"{function.name} is offered by two modules")
            functions[function.name] = function
    if not functions:
        raise ValueError("the worker offers no function: give it modules with some")
    return functions


def _new_worker_id() -> str:
    host = socket.gethostname()[:64]
    return f"{host}/{os.getpid()}/{secrets.token_hex(6)}"


async def _in_thread(function: Callable[..., Any], *arguments: Any) -> None:
    """
    Call *function* in a thread of its own.

    The loop's default executor will not do: functions may occupy all of its threads,
    and this is what has to end them.
    """
    done: concurrent.futures.Future[None] = concurrent.futures.Future()
    # So that nobody who stops waiting can take the future back.
    done.set_running_or_notify_cancel()

    def call() -> None:
        try:
            function(*arguments)
        except BaseException as error:
            done.set_exception(error)
        else:
            done.set_result(None)

    threading.Thread(target=call, name="starflow-drain", daemon=True).start()
    await asyncio.wrap_future(done)
