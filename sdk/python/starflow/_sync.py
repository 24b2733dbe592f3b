"""The client for programs without an event loop: the same methods, blocking."""

from collections.abc import Coroutine, Iterable, Iterator, Mapping
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeVar, overload

import grpc

from starflow._bundle import Bundle
from starflow._client import Client, ConflictPolicy
from starflow._connection import Connection
from starflow._failure import Failure
from starflow._loop_thread import LoopThread
from starflow._model import Event, RunInfo, ServerInfo, SignalOutcome, Validation
from starflow._operations import (
    FunctionInfo,
    QueueInfo,
    Rate,
    ReplicaInfo,
    WorkerInfo,
)
from starflow._run import Run, outcome

T = TypeVar("T")


class SyncClient:
    """
    A connection to the service, for threads: `Client`, with methods that block.

    It may be shared by any number of threads. Use it as `with SyncClient() as client`,
    or call `close` at the end. In async code use `Client`.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        namespace: str | None = None,
        credentials: grpc.ChannelCredentials | None = None,
        patience: float = 10.0,
    ) -> None:
        self._client = Client(
            address, namespace=namespace, credentials=credentials, patience=patience
        )
        self._thread = LoopThread("starflow-client")
        self._owns_thread = True

    @classmethod
    def attached(cls, client: Client, thread: LoopThread) -> Self:
        """Return the blocking face of *client*, which lives on *thread*'s loop."""
        self = cls.__new__(cls)
        self._client, self._thread, self._owns_thread = client, thread, False
        return self

    @property
    def connection(self) -> Connection:
        """Where the service is."""
        return self._client.connection

    @property
    def patience(self) -> float:
        """For how many seconds a request is repeated while the service is away."""
        return self._client.patience

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection. What was started goes on."""
        if self._owns_thread:
            if not self._thread.is_closed:
                self._call(self._client.close())
            self._thread.close()

    def start(
        self,
        script: str | Bundle | None = None,
        *,
        input: Any = None,
        run_id: str | None = None,
        script_hash: str | None = None,
        labels: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        conflict: ConflictPolicy = "attach_same",
        allow_unregistered: bool = False,
        wait: float = 0.0,
    ) -> "SyncRun":
        """Start a run; see `Client.start`."""
        run = self._call(
            self._client.start(
                script,
                input=input,
                run_id=run_id,
                script_hash=script_hash,
                labels=labels,
                headers=headers,
                conflict=conflict,
                allow_unregistered=allow_unregistered,
                wait=wait,
            )
        )
        return SyncRun(self, run)

    def run(self, run_id: str) -> "SyncRun":
        """Return a handle to the run *run_id*, without asking whether there is one."""
        return SyncRun(self, self._client.run(run_id))

    def get(self, run_id: str, *, with_script: bool = False) -> RunInfo:
        """Return the run as it stands; see `Client.get`."""
        return self._call(self._client.get(run_id, with_script=with_script))

    @overload
    def result(
        self, run_id: str, *, timeout: float | None = ..., through_yields: bool = ...
    ) -> Any: ...
    @overload
    def result(
        self,
        run_id: str,
        *,
        timeout: float | None = ...,
        through_yields: bool = ...,
        result_type: type[T],
    ) -> T: ...
    def result(
        self,
        run_id: str,
        *,
        timeout: float | None = None,
        through_yields: bool = False,
        result_type: Any = None,
    ) -> Any:
        """Wait for the run and return its output; see `Client.result`."""
        info = self.wait(run_id, timeout=timeout, through_yields=through_yields)
        return outcome(info, timeout, result_type)

    def wait(
        self,
        run_id: str,
        *,
        timeout: float | None = None,
        through_yields: bool = False,
    ) -> RunInfo:
        """Wait until the run is finished, yields or is paused; see `Client.wait`."""
        return self._call(
            self._client.wait(run_id, timeout=timeout, through_yields=through_yields)
        )

    def signal(
        self,
        run_id: str,
        signal_id: str | None = None,
        output: Any = None,
        *,
        name: str | None = None,
        failure: Failure | None = None,
        only_if_waiting: bool = False,
        request_id: str | None = None,
    ) -> SignalOutcome:
        """Deliver a signal; see `Client.signal`."""
        return self._call(
            self._client.signal(
                run_id,
                signal_id,
                output,
                name=name,
                failure=failure,
                only_if_waiting=only_if_waiting,
                request_id=request_id,
            )
        )

    def cancel(self, run_id: str, reason: str = "") -> RunInfo:
        """Ask the run to end; see `Client.cancel`."""
        return self._call(self._client.cancel(run_id, reason))

    def terminate(self, run_id: str, reason: str = "") -> RunInfo:
        """End the run at once; see `Client.terminate`."""
        return self._call(self._client.terminate(run_id, reason))

    def unpause(self, run_id: str) -> RunInfo:
        """Let the paused run try again; see `Client.unpause`."""
        return self._call(self._client.unpause(run_id))

    def list(
        self,
        *,
        states: Iterable[str] = (),
        labels: Mapping[str, str] | None = None,
        since: datetime | None = None,
        before: datetime | None = None,
        paused: bool | None = None,
        script_hash: str = "",
        prefix: str = "",
    ) -> Iterator[RunInfo]:
        """Yield runs, the newest first; see `Client.list`."""
        found = self._client.list(
            states=states,
            labels=labels,
            since=since,
            before=before,
            paused=paused,
            script_hash=script_hash,
            prefix=prefix,
        )
        return self._thread.iterate(found)

    def delete(self, run_id: str, *, missing_ok: bool = False) -> bool:
        """Delete a run that has finished; see `Client.delete`."""
        return self._call(self._client.delete(run_id, missing_ok=missing_ok))

    def set_queue(
        self, name: str, *, max_in_flight: int | None = None, rate: Rate | None = None
    ) -> QueueInfo:
        """Bound the queue *name*; see `Client.set_queue`."""
        return self._call(
            self._client.set_queue(name, max_in_flight=max_in_flight, rate=rate)
        )

    def delete_queue(self, name: str) -> bool:
        """Take the limits of a queue away; return whether it had some."""
        return self._call(self._client.delete_queue(name))

    def list_queues(self) -> Iterator[QueueInfo]:
        """Yield the queues with limits, by name."""
        return self._thread.iterate(self._client.list_queues())

    def list_functions(self) -> Iterator[FunctionInfo]:
        """Yield the functions that are registered or waited for, by name."""
        return self._thread.iterate(self._client.list_functions())

    def list_workers(self) -> Iterator[WorkerInfo]:
        """Yield the workers that showed themselves lately, by id."""
        return self._thread.iterate(self._client.list_workers())

    def list_replicas(self) -> Iterator[ReplicaInfo]:
        """Yield the servers that share the store, by the time they started."""
        return self._thread.iterate(self._client.list_replicas())

    def events(
        self,
        run_id: str,
        *,
        from_version: int = 1,
        limit: int = 0,
        follow: bool = False,
        types: Iterable[str] = (),
        omit_payloads: bool = False,
    ) -> Iterator[Event]:
        """Yield the events of the run's log; see `Client.events`."""
        events = self._client.events(
            run_id,
            from_version=from_version,
            limit=limit,
            follow=follow,
            types=types,
            omit_payloads=omit_payloads,
        )
        return self._thread.iterate(events)

    def validate(self, script: str | Bundle) -> Validation:
        """Check *script* without running it; see `Client.validate`."""
        return self._call(self._client.validate(script))

    def server_info(self) -> ServerInfo:
        """Return the server's version, capabilities and limits."""
        return self._call(self._client.server_info())

    def _call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self._thread.call(coroutine)


class SyncRun:
    """A handle to one run, with methods that block."""

    def __init__(self, client: SyncClient, run: Run) -> None:
        self.id = run.id
        # Whether `start` started it (False: it found an existing run).
        self.created = run.created
        # The run as it stood when the service last told this handle.
        self.info = run.info
        self._client = client

    def __repr__(self) -> str:
        return f"<starflow.SyncRun {self.id} {self.info.state}>"

    @overload
    def result(
        self, *, timeout: float | None = ..., through_yields: bool = ...
    ) -> Any: ...
    @overload
    def result(
        self,
        *,
        timeout: float | None = ...,
        through_yields: bool = ...,
        result_type: type[T],
    ) -> T: ...
    def result(
        self,
        *,
        timeout: float | None = None,
        through_yields: bool = False,
        result_type: Any = None,
    ) -> Any:
        """Wait for the run and return its output; see `Client.result`."""
        if not self.info.finished:
            self.wait(timeout=timeout, through_yields=through_yields)
        return outcome(self.info, timeout, result_type)

    def wait(
        self, *, timeout: float | None = None, through_yields: bool = False
    ) -> RunInfo:
        """Wait until the run finishes, yields or pauses; see `Client.wait`."""
        self.info = self._client.wait(
            self.id, timeout=timeout, through_yields=through_yields
        )
        return self.info

    def get(self, *, with_script: bool = False) -> RunInfo:
        """Return the run as it stands."""
        self.info = self._client.get(self.id, with_script=with_script)
        return self.info

    def signal(
        self,
        signal_id: str | None = None,
        output: Any = None,
        *,
        name: str | None = None,
        failure: Failure | None = None,
        only_if_waiting: bool = False,
        request_id: str | None = None,
    ) -> SignalOutcome:
        """Deliver a signal to the run; see `Client.signal`."""
        return self._client.signal(
            self.id,
            signal_id,
            output,
            name=name,
            failure=failure,
            only_if_waiting=only_if_waiting,
            request_id=request_id,
        )

    def cancel(self, reason: str = "") -> RunInfo:
        """Ask the run to end; see `Client.cancel`."""
        self.info = self._client.cancel(self.id, reason)
        return self.info

    def terminate(self, reason: str = "") -> RunInfo:
        """End the run at once; see `Client.terminate`."""
        self.info = self._client.terminate(self.id, reason)
        return self.info

    def unpause(self) -> RunInfo:
        """Let the paused run try again; see `Client.unpause`."""
        self.info = self._client.unpause(self.id)
        return self.info

    def delete(self) -> bool:
        """Delete the run, which has finished; see `Client.delete`."""
        return self._client.delete(self.id, missing_ok=True)

    def events(
        self,
        *,
        from_version: int = 1,
        limit: int = 0,
        follow: bool = False,
        types: Iterable[str] = (),
        omit_payloads: bool = False,
    ) -> Iterator[Event]:
        """Yield the events of the run's log; see `Client.events`."""
        return self._client.events(
            self.id,
            from_version=from_version,
            limit=limit,
            follow=follow,
            types=types,
            omit_payloads=omit_payloads,
        )
