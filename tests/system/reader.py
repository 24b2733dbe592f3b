"""A client that reads logs, and remembers all that it was ever shown of them.

It uses the bare API, so that nothing repairs or hides what the service sends.
"""

import asyncio
from collections.abc import AsyncIterator
from random import Random

import grpc.aio

from starflow import _status
from starflow.errors import Unavailable
from starflow.v1 import event_pb2, workflow_service_pb2_grpc
from starflow.v1 import workflow_service_pb2 as pb
from starflow.v1.event_pb2 import Event
from tests.support.processes import until_async
from tests.system.histories import Read

_PAUSE_S = 0.02


class Reader:
    """Reads the log of one run."""

    def __init__(self, channel: grpc.aio.Channel, run_id: str, chance: Random) -> None:
        self.run_id = run_id
        self.reads: list[Read] = []
        self._stub = workflow_service_pb2_grpc.WorkflowServiceStub(channel)
        self._chance = chance
        self._seen = 0

    @property
    def has_seen_some(self) -> bool:
        """Whether it was shown any event, so that there is a log to be read."""
        return self._seen > 0

    async def follow(self) -> None:
        """
        Follow the log until its FINISH was shown, over all outages.

        After an outage it goes on where it was, or begins again, as chance will have
        it: what was shown before must be shown again.
        """
        next_version = 1
        while True:
            read = Read(seen_before=self._seen)
            self.reads.append(read)
            async for event in self._events(read, next_version, follow=True):
                next_version = event.version + 1
                if event.type == event_pb2.EVENT_TYPE_FINISH:
                    return
            if self._chance.random() < 0.3:
                next_version = 1
            await asyncio.sleep(_PAUSE_S)

    async def read(self) -> Read:
        """Read the log once, from the first event to the last, if nothing breaks."""
        read = Read(seen_before=self._seen)
        self.reads.append(read)
        async for _ in self._events(read, 1, follow=False):
            pass
        return read

    async def log(self) -> list[Event]:
        """Return the log as it stands, over all outages."""
        whole = await until_async(self._read_whole, f"the log of {self.run_id} is read")
        assert whole is not None
        return whole.events

    async def _read_whole(self) -> Read | None:
        read = await self.read()
        return read if read.is_complete else None

    async def _events(
        self, read: Read, from_version: int, *, follow: bool
    ) -> AsyncIterator[Event]:
        """Yield what one request brings; a broken connection is just its end."""
        request = pb.GetEventsRequest(
            run_id=self.run_id, from_version=from_version, follow=follow
        )
        call = self._stub.GetEvents(request, wait_for_ready=True)
        try:
            async for batch in call:
                for event in batch.events:
                    read.events.append(event)
                    self._seen = max(self._seen, event.version)
                    yield event
            read.is_complete = from_version == 1
        except grpc.aio.AioRpcError as error:
            meaning = _status.request_error(error, "the server")
            if not isinstance(meaning, Unavailable):
                raise
        finally:
            call.cancel()
