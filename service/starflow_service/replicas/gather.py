"""Lists that every server has a part of: each is asked, and one answer made of all."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

import structlog

from starflow.v1 import worker_service_pb2 as pb
from starflow_service.replicas.link import Link
from starflow_service.rpc.routing import Serve
from starflow_service.rpc.status import ToldError
from starflow_service.rpc.workforce import MERGES
from starflow_service.runtime.errors import RuntimeRefusal, WorkerNotRegisteredError

log = structlog.get_logger()

# A person waits for the answer: without a server that says nothing it is still one.
_PATIENCE_S: Final = 3.0

AskLink = Callable[[Link, str, bytes, float], Awaitable[bytes | None]]


def gathered(
    method: str, serve: Serve, links: Callable[[], Iterable[Link]], ask: AskLink
) -> Serve:
    """Return what answers *method* for all servers; *serve* does for this one."""
    merge = MERGES[method]

    async def ask_one(link: Link, data: bytes) -> bytes | None:
        try:
            return await ask(link, method, data, _PATIENCE_S)
        except (RuntimeRefusal, ToldError) as refusal:
            log.warning("replicas.not_asked", method=method, error=str(refusal))
            return None

    async def carry_out(request: Any, context: Any) -> Any:
        # First, because it says what is wrong with the request.
        own = await serve(request, context)
        data = request.SerializeToString()
        asked = [ask_one(link, data) for link in links()]
        others = [each for each in await asyncio.gather(*asked) if each is not None]
        return merge(request, [own, *(type(own).FromString(each) for each in others)])

    return carry_out


def drained(serve: Serve, links: Callable[[], Iterable[Link]], ask: AskLink) -> Serve:
    """Return what drains a worker wherever it is known; *serve* does it here."""

    async def ask_one(link: Link, data: bytes) -> bytes | None:
        try:
            return await ask(link, "DrainWorker", data, _PATIENCE_S)
        except (RuntimeRefusal, ToldError):
            # It is not known there.
            return None

    async def carry_out(request: Any, context: Any) -> Any:
        data = request.SerializeToString()
        asking = [asyncio.ensure_future(ask_one(link, data)) for link in links()]
        refusal: RuntimeRefusal | None = None
        held = 0
        try:
            held = (await serve(request, context)).held_tasks
        except WorkerNotRegisteredError as error:
            refusal = error
        answers = [each for each in await asyncio.gather(*asking) if each is not None]
        if refusal is not None and not answers:
            raise refusal
        responses = map(pb.DrainWorkerResponse.FromString, answers)
        return pb.DrainWorkerResponse(
            held_tasks=held + sum(each.held_tasks for each in responses)
        )

    return carry_out
