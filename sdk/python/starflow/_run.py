"""A handle to one run, and what waiting for it comes to."""

# ruff: noqa: ASYNC109  `timeout` here bounds what the service does, not the await

from collections.abc import AsyncGenerator, Iterable
from typing import TYPE_CHECKING, Any, TypeVar, overload

from starflow import _convert
from starflow._failure import Failure
from starflow._model import Event, RunInfo, SignalOutcome
from starflow.errors import (
    ResultTimeout,
    RunCancelled,
    RunFailed,
    RunPaused,
    RunYielded,
)

if TYPE_CHECKING:
    from starflow._client import Client

T = TypeVar("T")


class Run:
    """A handle to one run."""

    def __init__(
        self, client: "Client", info: RunInfo, *, created: bool = False
    ) -> None:
        self.id = info.id
        # Whether `start` started it (False: it found an existing run).
        self.created = created
        # The run as it stood when the service last told this handle.
        self.info = info
        self._client = client

    def __repr__(self) -> str:
        return f"<starflow.Run {self.id} {self.info.state}>"

    @overload
    async def result(
        self, *, timeout: float | None = ..., through_yields: bool = ...
    ) -> Any: ...
    @overload
    async def result(
        self,
        *,
        timeout: float | None = ...,
        through_yields: bool = ...,
        result_type: type[T],
    ) -> T: ...
    async def result(
        self,
        *,
        timeout: float | None = None,
        through_yields: bool = False,
        result_type: Any = None,
    ) -> Any:
        """Wait for the run and return its output; see `Client.result`."""
        if not self.info.finished:
            await self.wait(timeout=timeout, through_yields=through_yields)
        return outcome(self.info, timeout, result_type)

    async def wait(
        self, *, timeout: float | None = None, through_yields: bool = False
    ) -> RunInfo:
        """Wait until the run finishes, yields or pauses; see `Client.wait`."""
        self.info = await self._client.wait(
            self.id, timeout=timeout, through_yields=through_yields
        )
        return self.info

    async def get(self, *, with_script: bool = False) -> RunInfo:
        """Return the run as it stands."""
        self.info = await self._client.get(self.id, with_script=with_script)
        return self.info

    async def signal(
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
        return await self._client.signal(
            self.id,
            signal_id,
            output,
            name=name,
            failure=failure,
            only_if_waiting=only_if_waiting,
            request_id=request_id,
        )

    async def cancel(self, reason: str = "") -> RunInfo:
        """Ask the run to end; see `Client.cancel`."""
        self.info = await self._client.cancel(self.id, reason)
        return self.info

    async def terminate(self, reason: str = "") -> RunInfo:
        """End the run at once; see `Client.terminate`."""
        self.info = await self._client.terminate(self.id, reason)
        return self.info

    async def unpause(self) -> RunInfo:
        """Let the paused run try again; see `Client.unpause`."""
        self.info = await self._client.unpause(self.id)
        return self.info

    async def delete(self) -> bool:
        """Delete the run, which has finished; see `Client.delete`."""
        return await self._client.delete(self.id, missing_ok=True)

    def events(
        self,
        *,
        from_version: int = 1,
        limit: int = 0,
        follow: bool = False,
        types: Iterable[str] = (),
        omit_payloads: bool = False,
    ) -> AsyncGenerator[Event, None]:
        """Yield the events of the run's log; see `Client.events`."""
        return self._client.events(
            self.id,
            from_version=from_version,
            limit=limit,
            follow=follow,
            types=types,
            omit_payloads=omit_payloads,
        )


def outcome(info: RunInfo, timeout: float | None, result_type: Any) -> Any:
    """Return the output of a run that was waited for, or raise what it came to."""
    if info.state == "SUCCEEDED":
        decode = _convert.decoder(result_type) if result_type is not None else None
        return _convert.convert(decode, info.output, "output")
    if info.failure is not None:
        cls = RunCancelled if info.state == "CANCELLED" else RunFailed
        raise cls(info.id, info.failure)
    if info.paused:
        raise RunPaused(info.id, info.pause_reason, info.pause_message)
    if info.state == "YIELDED" and (info.signal_ids or info.signal_names):
        raise RunYielded(info.id, info.signal_ids, info.signal_names)
    raise ResultTimeout(info.id, info.state, timeout or 0.0)
