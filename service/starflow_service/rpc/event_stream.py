"""A run's log as a stream of batches."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from starflow.v1.event_pb2 import Event
from starflow.v1.workflow_service_pb2 import GetEventsRequest, GetEventsResponse
from starflow_service.rpc import fields
from starflow_service.rpc.routing import LogSource, Watching
from starflow_service.runtime.errors import DrainingError
from starflow_service.runtime.types import FINAL_STATES, RunState

_BATCH_BYTES_MAX = 1 << 20
# Events read from the store at a time.  Each may have a megabyte, so the first page is
# small.
_PAGE_MIN = 16
_PAGE_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Selection:
    """What of which log is asked for."""

    namespace: str
    run_id: str
    from_version: int
    # 0: no limit.
    limit: int
    is_followed: bool
    # Numbers of event types; empty: all.
    types: frozenset[int]
    is_without_payloads: bool

    @classmethod
    def of(cls, request: GetEventsRequest) -> "Selection":
        """
        Return what *request* selects.

        Raises:
            FieldInvalidError: One of its fields is malformed.
        """
        return cls(
            fields.namespace(request.namespace),
            fields.run_id(request.run_id),
            fields.count("from_version", request.from_version) or 1,
            fields.count("limit", request.limit),
            request.follow,
            frozenset(int(number) for number in request.types),
            request.omit_payloads,
        )

    def take(self, data: bytes) -> Event | None:
        """Return the stored event *data* as it is to be sent, or None."""
        event = Event.FromString(data)
        if self.types and event.type not in self.types:
            return None
        if self.is_without_payloads:
            _omit_payloads(event)
        return event


class EventStream:
    """One call of GetEvents: where it is, and how much it may still send."""

    def __init__(
        self,
        logs: LogSource,
        selection: Selection,
        *,
        keepalive_s: float,
        is_draining: Callable[[], bool],
    ) -> None:
        self._logs = logs
        self._selection = selection
        self._keepalive_s = keepalive_s
        self._is_draining = is_draining
        self._now = asyncio.get_running_loop().time
        self._next_version = selection.from_version
        self._left = selection.limit or None
        self._page = _PAGE_MIN
        # What the last look at the run showed.
        self._state = RunState.PENDING
        self._is_behind = True
        self._is_over = False

    async def batches(self) -> AsyncIterator[GetEventsResponse]:
        """
        Yield the log in batches, at least one, until it ends.

        Raises:
            RunNotFoundError: There is no such run.
            VersionOutOfRangeError: The selection begins past the end.
            DrainingError: The server stops; go on elsewhere from the last next_version.
        """
        selection = self._selection
        # Watched before the first look, so that nothing falls between look and wait.
        async with self._logs.watch(selection.namespace, selection.run_id) as watch:
            # The first answer comes at once, even if there is nothing to send.
            is_due = True
            while True:
                batches = await self._advance()
                if is_due and not batches:
                    batches = [self._batch()]
                for batch in batches:
                    yield batch
                if batches:
                    sent_at = self._now()
                if self._is_over or not (self._is_behind or selection.is_followed):
                    return
                is_due = not self._is_behind and not await self._wait(watch, sent_at)

    async def _advance(self) -> list[GetEventsResponse]:
        """Read a page, move past it, and return what is to be sent of it."""
        selection = self._selection
        first_version = self._next_version
        stored, self._state, last_version = await self._logs.read_events(
            selection.namespace, selection.run_id, first_version, self._page
        )
        batches = self._packed(stored)
        self._fit_page(stored)
        self._is_behind = bool(stored) and self._next_version <= last_version
        has_all = not self._is_behind and self._state in FINAL_STATES
        self._is_over = has_all or self._left == 0
        return batches

    def _packed(self, stored: Sequence[bytes]) -> list[GetEventsResponse]:
        batches: list[GetEventsResponse] = []
        size = _BATCH_BYTES_MAX
        for data in stored:
            if self._left == 0:
                break
            self._next_version += 1
            event = self._selection.take(data)
            if event is None:
                continue
            size += len(data)
            if size > _BATCH_BYTES_MAX:
                batches.append(self._batch())
                size = len(data)
            batches[-1].events.append(event)
            if self._left is not None:
                self._left -= 1
            batches[-1].next_version = self._next_version
        return batches

    def _fit_page(self, stored: Sequence[bytes]) -> None:
        """Let the next page hold about one batch."""
        if stored:
            fitting = len(stored) * _BATCH_BYTES_MAX // sum(map(len, stored))
            self._page = max(_PAGE_MIN, min(_PAGE_MAX, fitting))

    def _batch(self) -> GetEventsResponse:
        batch = GetEventsResponse(next_version=self._next_version)
        batch.state = self._state.value  # type: ignore[assignment]
        return batch

    async def _wait(self, watch: Watching, sent_at: float) -> bool:
        """Wait for news; False when it is time for a sign of life."""
        is_news = await watch.wait(sent_at + self._keepalive_s - self._now())
        if self._is_draining():
            raise DrainingError
        return is_news


def _omit_payloads(event: Event) -> None:
    detail = getattr(event, event.WhichOneof("detail") or "", None)
    if detail is None:
        return
    for name in ("input", "output", "status"):
        if name in detail.DESCRIPTOR.fields_by_name:
            detail.ClearField(name)
    # Looked at first: to touch a member of a oneof is to choose it.
    if "failure" in detail.DESCRIPTOR.fields_by_name and detail.HasField("failure"):
        detail.failure.ClearField("details")
