"""Where a call is carried out: here, or by another server that has the run.

The rooms above `rpc` know of other servers; here is only what they are asked.  A server
that has its store alone carries out everything itself.
"""

import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from starflow_service import __version__
from starflow_service.runtime.runtime import Runtime
from starflow_service.runtime.types import RunState

# A method of a servicer: request and context to the response.  A response that another
# server has made comes as bytes.
Serve = Callable[[Any, Any], Awaitable[Any]]


class Watching(Protocol):
    """What waits for a log to grow."""

    async def wait(self, timeout_s: float) -> bool:
        """Wait until there may be news; False when time is up."""
        ...


class LogSource(Protocol):
    """Where logs are read."""

    async def read_events(
        self, namespace: str, run_id: str, from_version: int, limit: int
    ) -> tuple[list[bytes], RunState, int]:
        """Return stored events, the run's state, and the last version."""
        ...

    def watch(
        self, namespace: str, run_id: str
    ) -> AbstractAsyncContextManager[Watching]:
        """Watch a run for changes."""
        ...


@dataclass(frozen=True, slots=True)
class ReplicaView:
    """A server of the store, as `ListReplicas` shows it."""

    id: str
    address: str
    version: str
    start_ns: int
    lease_left_s: float
    partitions: Sequence[int]
    runs: int
    answers: bool


@dataclass(frozen=True, slots=True)
class Membership:
    """All servers of the store, and what nobody owns."""

    replicas: Sequence[ReplicaView]
    partitions: int
    unowned: Sequence[int]


class Route(Protocol):
    """Brings calls to the servers that have their runs."""

    def around(self, method: str, serve: Serve) -> Serve:
        """Return what carries out *method*, which *serve* does for runs of ours."""
        ...

    @property
    def logs(self) -> LogSource:
        """Where the log of a run is read; one for each who follows."""
        ...

    async def membership(self) -> Membership:
        """Return all servers."""
        ...

    def drain(self) -> None:
        """Answer what waits for a run of another server: this one is about to end."""
        ...


class Alone:
    """The route of a server that has its store to itself: there is nowhere to go."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._view = ReplicaView(
            id=secrets.token_hex(4),
            address="",
            version=__version__,
            start_ns=time.time_ns(),
            lease_left_s=0.0,
            partitions=(0,),
            runs=0,
            answers=True,
        )

    def around(self, method: str, serve: Serve) -> Serve:
        """Return *serve*."""
        return serve

    @property
    def logs(self) -> LogSource:
        """Where the log of a run is read."""
        return self._runtime

    async def membership(self) -> Membership:
        """Return this server."""
        return Membership([self._view], 1, ())

    def drain(self) -> None:
        """Nothing waits for other servers."""


@dataclass(frozen=True, slots=True)
class Method:
    """A unary method, to be carried out for another server."""

    request: type[Message]
    serve: Serve


def unary_methods(servicers: Mapping[ServiceDescriptor, object]) -> dict[str, Method]:
    """Return the unary methods of *servicers*, by name."""
    return {
        method.name: Method(
            GetMessageClass(method.input_type), getattr(servicer, method.name)
        )
        for service, servicer in servicers.items()
        for method in service.methods
        if not (method.client_streaming or method.server_streaming)
    }
