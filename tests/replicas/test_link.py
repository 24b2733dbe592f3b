"""The link between two servers, over real gRPC."""

import asyncio
import contextlib

import grpc
import pytest

from starflow.v1.replica_service_pb2_grpc import ReplicaServiceStub
from starflow_backends.shared import Replica
from starflow_service.replicas import link as links
from starflow_service.replicas.link import (
    OK,
    REFUSED,
    LinkBrokenError,
    LinkFullError,
)
from starflow_service.replicas.peers import Peers

SECRET = b"s" * 32
WAIT_S = 20


class Side:
    """One server, as far as it has links; it answers calls as it is told."""

    def __init__(self, name, secret=SECRET):
        self.name = name
        self.frames = []
        self.cancelled = asyncio.Event()
        self.opened = asyncio.Event()
        self.ended = asyncio.Event()
        self.peers = Peers(
            name,
            secret,
            carry_out=self.carry_out,
            on_news=lambda link, frame: self.frames.append(frame),
            on_open=lambda link: self.opened.set(),
            on_end=lambda link: self.ended.set(),
        )

    async def open(self):
        self.port = await self.peers.open("127.0.0.1:0")

    @property
    def member(self):
        started_ns = ord(self.name)
        return Replica(self.name, f"127.0.0.1:{self.port}", "1", started_ns, 9.0)

    async def carry_out(self, link, method, data, remaining_s):
        if method == "Echo":
            return OK, self.name.encode() + data
        if method == "Refuse":
            return REFUSED, b"no"
        try:
            await asyncio.sleep(WAIT_S)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        raise AssertionError("nobody cancelled it")


@contextlib.asynccontextmanager
async def two_sides(secret=SECRET):
    a, b = Side("a"), Side("b", secret)
    await a.open()
    await b.open()
    members = [a.member, b.member]
    a.peers.update(members)
    b.peers.update(members)
    try:
        async with asyncio.timeout(WAIT_S):
            yield a, b
    finally:
        await b.peers.close()
        await a.peers.close()


async def linked(a, b):
    await a.opened.wait()
    await b.opened.wait()
    return a.peers.links["b"], b.peers.links["a"]


async def test_both_sides_call_on_the_one_link_that_the_later_server_opens():
    async with two_sides() as (a, b):
        from_a, from_b = await linked(a, b)

        assert await from_a.call("Echo", b"1", WAIT_S) == (OK, b"b1")
        assert await from_b.call("Echo", b"2", WAIT_S) == (OK, b"a2")
        assert await from_a.call("Refuse", b"", WAIT_S) == (REFUSED, b"no")


async def test_what_is_said_in_one_turn_travels_together():
    async with two_sides() as (a, b):
        from_a, _ = await linked(a, b)
        before = len(b.frames)

        calls = [from_a.call("Echo", b"%d" % n, WAIT_S) for n in range(1000)]
        answers = await asyncio.gather(*calls)

        assert answers == [(OK, b"b%d" % n) for n in range(1000)]
        assert len(b.frames) - before == 1


async def test_large_frames_are_divided():
    async with two_sides() as (a, b):
        from_a, _ = await linked(a, b)
        data = b"x" * 3_000_000
        before = len(b.frames)

        await asyncio.gather(*(from_a.call("Echo", data, WAIT_S) for _ in range(5)))

        assert len(b.frames) - before == 5


async def test_who_does_not_know_the_secret_gets_no_link():
    async with two_sides(secret=b"another" * 4) as (a, _):
        async with grpc.aio.insecure_channel(a.member.address) as channel:
            stream = ReplicaServiceStub(channel).Link(
                metadata=(
                    ("starflow-from", "b"),
                    ("starflow-to", "a"),
                    ("starflow-proof", "0" * 64),
                )
            )
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await stream.read()

        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
        assert not a.peers.links


async def test_a_proof_is_good_for_one_server_in_one_life():
    async with two_sides() as (a, b):
        await linked(a, b)
        async with grpc.aio.insecure_channel(b.member.address) as channel:
            stream = ReplicaServiceStub(channel).Link(
                metadata=(
                    ("starflow-from", "b"),
                    ("starflow-to", "a"),
                    ("starflow-proof", b.peers._proof("b", "a")),
                )
            )
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await stream.read()

        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_calls_that_wait_fail_when_the_link_breaks():
    async with two_sides() as (a, b):
        from_a, _ = await linked(a, b)
        waiting = asyncio.ensure_future(from_a.call("Hang", b"", WAIT_S))
        await asyncio.sleep(0)

        await b.peers.close()

        with pytest.raises(LinkBrokenError):
            await waiting
        with pytest.raises(LinkBrokenError):
            await from_a.call("Echo", b"", WAIT_S)
        await a.ended.wait()
        assert not a.peers.links


async def test_a_call_that_nobody_waits_for_is_broken_off():
    async with two_sides() as (a, b):
        from_a, _ = await linked(a, b)

        with pytest.raises(TimeoutError):
            await from_a.call("Hang", b"", 0.05)

        await b.cancelled.wait()


async def test_the_link_to_a_server_that_is_no_member_any_more_is_ended():
    async with two_sides() as (a, b):
        await linked(a, b)

        a.peers.update([a.member])

        await a.ended.wait()
        assert not a.peers.links


async def test_a_server_that_leaves_keeps_its_links_to_its_end():
    async with two_sides() as (a, b):
        from_a, _ = await linked(a, b)
        from_a.is_leaving = True

        a.peers.update([a.member])

        assert await from_a.call("Echo", b"1", WAIT_S) == (OK, b"b1")


async def test_calls_that_wait_are_bounded(monkeypatch):
    monkeypatch.setattr(links, "CALLS_MAX", 2)
    async with two_sides() as (a, b):
        from_a, _ = await linked(a, b)
        waiting = [
            asyncio.ensure_future(from_a.call("Hang", b"", WAIT_S)) for _ in range(2)
        ]
        await asyncio.sleep(0)

        with pytest.raises(LinkFullError):
            await from_a.call("Echo", b"", WAIT_S)

        for each in waiting:
            each.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert (await from_a.call("Echo", b"", WAIT_S))[0] == OK
