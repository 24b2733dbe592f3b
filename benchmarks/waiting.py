"""Workloads about workers that wait, and workers that die."""

import asyncio
import os
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from google.protobuf.duration_pb2 import Duration

import starflow
from benchmarks.figures import Figure
from benchmarks.machine import Processes
from benchmarks.workloads import Options, Values, Workload
from starflow.v1 import worker_service_pb2 as pb
from starflow.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.support.processes import Process, Server, Stage, until

_NAMES = ("bench.echo",)
# Whoever does less than this has done what there was to do.
_SETTLED_CORES = 0.3
# How many calls one connection carries; a worker of its own has a connection each.
_PER_CHANNEL = 500
_WAIT = Duration(seconds=60)
_TASK_MS = 120_000
_SLOW = "def main(ctx, input):\n    return bench.slow(ctx, input)\n"


async def play_pollers(workload: Workload, options: Options) -> Values:
    """Let polls wait, then streams; look at the server meanwhile."""
    count = options.runs or workload.runs
    values: Values = {}
    for name, wait in (("polls", _polls), ("streams", _streams)):
        with (
            tempfile.TemporaryDirectory(prefix="starflow-bench-") as place,
            Stage(Path(place)) as stage,
        ):
            server = stage.add(
                Server(stage.place, "--log-level", "warning", store="memory:")
            )
            await server.start()
            measured = await _look(server, wait, count, options.seconds)
            values |= {f"{name}: {what}": value for what, value in measured.items()}
    return values


async def _look(
    server: Server, wait: Callable[[Any, int], Any], count: int, seconds: float
) -> Values:
    processes = Processes({"server": server.pid, "client": os.getpid()})
    before = processes.memory_kib()["server"]
    channels = [
        grpc.aio.insecure_channel(
            server.address, options=(("grpc.use_local_subchannel_pool", 1),)
        )
        for _ in range(-(-count // _PER_CHANNEL))
    ]
    stubs = [WorkerServiceStub(channel) for channel in channels]
    calls = [wait(stubs[n // _PER_CHANNEL], n) for n in range(count)]
    # Until all is said and taken in.
    while max((await _cores(processes, 1.0)).values()) > _SETTLED_CORES:
        pass
    each_kib = (processes.memory_kib()["server"] - before) / count
    idle = (await _cores(processes, seconds))["server"]
    # What has ended was refused, and nothing was measured.
    assert not any(call.done() for call in calls)
    for call in calls:
        call.cancel()
    for channel in channels:
        await channel.close()
    return {"memory each": each_kib, "idle cores": idle}


async def _cores(processes: Processes, seconds: float) -> dict[str, float]:
    before = processes.usage()
    await asyncio.sleep(seconds)
    after = processes.usage()
    took_s = after.at_s - before.at_s
    return {
        name: (cpu - before.cpu_s[name]) / took_s for name, cpu in after.cpu_s.items()
    }


def _polls(stub: Any, number: int) -> Any:
    return stub.Poll(
        pb.PollRequest(worker_id=f"w{number}", functions=_NAMES, wait=_WAIT)
    )


def _streams(stub: Any, number: int) -> Any:
    hello = pb.RegisterFunctionRequest(
        worker=pb.WorkerInfo(worker_id=f"w{number}"),
        functions=[pb.FunctionSpec(name=name) for name in _NAMES],
    )

    async def messages() -> AsyncIterator[pb.WorkStreamRequest]:
        yield pb.WorkStreamRequest(hello=hello, credit=1)
        # Our side stays open, and says nothing.
        await asyncio.Event().wait()

    return stub.WorkStream(messages())


async def play_worker_loss(workload: Workload, options: Options) -> Values:
    """Take a worker with all its tasks away; wait until another one has them."""
    count = options.runs or workload.runs
    return {
        "killed: all run elsewhere": await _lose(count, signal.SIGKILL),
        "frozen: all run elsewhere": await _lose(count, signal.SIGSTOP),
    }


async def _lose(count: int, number: signal.Signals) -> float:
    with (
        tempfile.TemporaryDirectory(prefix="starflow-bench-") as place,
        Stage(Path(place)) as stage,
    ):
        server = stage.add(Server(stage.place))
        await server.start()
        lost, other = (_worker(stage, server, name, count) for name in ("a", "b"))
        lost.launch()
        async with starflow.Client(server.address) as client:
            for run in range(count):
                await client.start(
                    _SLOW,
                    input={"ms": _TASK_MS},
                    run_id=f"loss-{run}",
                    allow_unregistered=True,
                )
            await until(lambda: _begun(stage, "a") == count, "the first has all")
            other.launch()
            await until(lambda: (stage.place / "b").exists(), "the other one is there")
            os.kill(lost.pid, number)
            lost_at = time.monotonic()
            await until(lambda: _begun(stage, "b") == count, "the other has all")
            return time.monotonic() - lost_at


def _worker(stage: Stage, server: Server, name: str, count: int) -> Process:
    journal = stage.place / name
    arguments = (server.address, str(count), str(journal))
    return stage.add(Process(name, stage.place, "benchmarks.worker", *arguments))


def _begun(stage: Stage, name: str) -> int:
    journal = stage.place / name
    return len(journal.read_text().splitlines()) if journal.exists() else 0


WAITING = (
    Workload(
        "pollers",
        "workers without work: one waiting poll or one stream each",
        tuple(
            Figure(f"{name}: {what}", unit)
            for name in ("polls", "streams")
            for what, unit in (("memory each", "KiB"), ("idle cores", ""))
        ),
        play_pollers,
        runs=10_000,
    ),
    Workload(
        "worker-loss",
        "a worker is lost with all its tasks, another one is there",
        (
            Figure("killed: all run elsewhere", "s", 6),
            Figure("frozen: all run elsewhere", "s", 17),
        ),
        play_worker_loss,
        runs=100,
    ),
)
