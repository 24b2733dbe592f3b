"""A worker's side of WorkStream, as a few words."""

import asyncio
import itertools
from collections import deque
from contextlib import asynccontextmanager

import grpc

from starflow.v1 import worker_service_pb2 as pb

WAIT_S = 20.0  # for what must happen; no test waits this long when all is well


def hello(*functions, worker="w", namespace="", **spec):
    return pb.RegisterFunctionRequest(
        namespace=namespace,
        worker=pb.WorkerInfo(worker_id=worker),
        functions=[pb.FunctionSpec(name=name, **spec) for name in functions],
    )


class Talk:
    """One stream: what was sent, and what came, part by part."""

    def __init__(self, call):
        self.call = call
        self._sequences = itertools.count(1)
        self._tasks = deque()
        self._directives = deque()
        self.answers = {}
        self.messages = 0
        self.is_drained = self.is_draining = False

    async def send(self, **parts):
        """Send one message; return its sequence."""
        sequence = parts.setdefault("sequence", next(self._sequences))
        await self.call.write(pb.WorkStreamRequest(**parts))
        return sequence

    async def read(self):
        """Read one message; return it, or None at the end of the stream."""
        async with asyncio.timeout(WAIT_S):
            response = await self.call.read()
        if response is grpc.aio.EOF:
            return None
        self.messages += 1
        self._tasks += response.tasks
        self._directives += response.directives
        for each in response.acknowledgements:
            self.answers[each.sequence] = each
        self.is_drained |= response.drained
        self.is_draining |= response.draining
        return response

    async def until(self, condition):
        """Read until *condition* holds."""
        while not condition():
            assert await self.read() is not None, "the stream has ended"

    async def task(self):
        """Return the next task that comes."""
        await self.until(lambda: self._tasks)
        return self._tasks.popleft()

    async def directive(self):
        """Return the next directive that comes."""
        await self.until(lambda: self._directives)
        return self._directives.popleft()

    async def acknowledged(self, sequence):
        """Return what a message is acknowledged with."""
        await self.until(lambda: sequence in self.answers)
        return self.answers.pop(sequence)

    async def ask(self, **parts):
        """Send a message, and return its acknowledgement."""
        return await self.acknowledged(await self.send(**parts))

    async def close(self):
        """Close our side, read what still comes, and return the status."""
        await self.call.done_writing()
        return await self.ended()

    async def ended(self):
        """Read until the stream has ended; return its status."""
        try:
            while await self.read() is not None:
                pass
        except grpc.aio.AioRpcError as error:
            return error.code()
        return await self.call.code()

    @property
    def came(self):
        """How many tasks came that nobody has looked at."""
        return len(self._tasks)


@asynccontextmanager
async def talking(workers, *functions, credit=0, **fields):
    """Open a stream to a service, and say hello."""
    talk = Talk(workers.WorkStream())
    try:
        first = hello(*functions or ["test.echo"], **fields)
        await talk.send(sequence=0, hello=first, credit=credit)
        welcome = await talk.read()
        assert welcome is not None
        assert welcome.HasField("welcome")
        yield talk
    finally:
        talk.call.cancel()
