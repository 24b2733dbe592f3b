"""The workloads, each on a server, a worker and a client of its own."""

import asyncio
import contextlib
import json
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import starflow
from benchmarks import scripts
from benchmarks.client import HOGS
from benchmarks.figures import Figure, Report
from benchmarks.machine import durable_append_ms
from tests.support.processes import EndedError, Process, Server, Stage
from tests.support.redis_server import RedisServer

Values = dict[str, float]

# Workers by name: their module, and what it is told beside the rest.
WORKERS: dict[str, tuple[str, ...]] = {
    "python": ("benchmarks.worker",),
    "go": ("benchmarks.go_worker",),
    "go-unary": ("benchmarks.go_worker", "unary"),
}

# How long the killed process of W4 is away.
_DOWN_S = 0.5
# The part of W4's steps after which it is killed.
_KILLED_AFTER = 0.3
_IDLE_EVICT_S = 2.0
# So that who computes goes on until the measurement is over.
_NO_BOUNDS = (
    "--max-steps=1000000000000",
    "--max-cpu-time=100000s",
    "--max-allocated-bytes=1000GiB",
)
# What a client may take beyond the time it was asked to measure for.
_PATIENCE_S = 180.0


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says; 0 stands for the workload's own default."""

    store: str = "sqlite"
    seconds: float = 8.0
    warm_up_seconds: float = 4.0
    in_flight: int = 0
    runs: int = 0
    # Tasks that the worker executes at a time.
    concurrency: int = 256
    repeat: int = 1
    # Where the stores are; None: the directory for temporary files.
    directory: Path | None = None
    # Whether the function of W1 is a plain one, executed in a thread.
    plain: bool = False
    # Which of WORKERS executes the functions.
    worker: str = "python"
    # Servers that share the Redis.  The client is at the first one, and the worker at
    # the last: whatever they have to do with each other goes over the link.
    replicas: int = 1
    # The limit of the queue of all functions; 0: none.
    limit: int = 0


class Bench:
    """A running server and worker, for one client."""

    def __init__(
        self,
        stage: Stage,
        options: Options,
        settings: Mapping[str, Any],
        redis: RedisServer | None,
    ) -> None:
        self._stage = stage
        self._redis = redis
        self._options = options
        self._settings = settings
        store = f"sqlite:{stage.place / 'starflow.db'}"
        if redis is not None:
            # W4 waits for the lease of a server that was killed.
            store = f"{redis.url}?lease_ms=1000"
        elif options.store != "sqlite":
            store = f"{options.store}:"
        self.others = [
            stage.add(Server(_directory(stage.place / f"server-{n}"), store=store))
            for n in range(1, options.replicas)
        ]
        idle_evict = f"{settings.get('idle_evict_s', 10.0)}s"
        self.server = stage.add(
            Server(
                stage.place,
                "--idle-evict",
                idle_evict,
                *settings.get("server_flags", ()),
                store=store,
            )
        )
        self.worker: Process
        self._journal = stage.place / "journal"

    async def start(self) -> None:
        """Start server and worker."""
        await self.server.start()
        for server in self.others:
            await server.start()
        if self._options.limit:
            async with starflow.Client(self.server.address) as client:
                await client.set_queue("bench", max_in_flight=self._options.limit)
        self.start_worker()

    def start_worker(self) -> None:
        """Start a worker; the client waits until it is known."""
        module, *told = WORKERS[self._options.worker]
        self.worker = self._stage.add(
            Process(
                "worker",
                self._stage.place,
                module,
                [self.server, *self.others][-1].address,
                str(self._options.concurrency),
                str(self._journal),
                *told,
            )
        )
        self.worker.launch()

    def start_client(self, workload: str) -> Process:
        """Start the client, which begins at once."""
        settings = {
            **{k: v for k, v in self._settings.items() if k != "server_flags"},
            "workload": workload,
            "address": self.server.address,
            "server_pid": self.server.pid,
            "other_server_pids": [server.pid for server in self.others],
            "worker_pid": self.worker.pid,
            "redis_pid": self._redis.pid if self._redis else 0,
        }
        arguments = json.dumps(settings)
        place = self._stage.place
        client = Process("client", place, "benchmarks.client", arguments)
        client.launch()
        return self._stage.add(client)

    async def result(self, client: Process) -> Values:
        """
        Wait for the client's figures.

        Raises:
            EndedError: It has none.
        """
        seconds = self._options.seconds + self._options.warm_up_seconds
        if await client.wait(timeout_s=seconds + _PATIENCE_S):
            raise EndedError(f"the client failed:\n{self._stage.last_words()}")
        values: Values = json.loads(client.output.splitlines()[-1])
        return values

    def store_bytes(self) -> int:
        """Return what the store takes: of the disk, or of Redis' memory."""
        if self._redis is not None:
            said = self._redis.command("INFO", "memory")
            return int(said.partition("used_memory:")[2].split()[0])
        files = self._stage.place.glob("starflow.db*")
        return sum(file.stat().st_size for file in files)

    def executions(self) -> list[str]:
        """Return the tasks that were executed, once for each time."""
        if not self._journal.exists():
            return []
        return self._journal.read_text().splitlines()


def _directory(path: Path) -> Path:
    path.mkdir()
    return path


@contextlib.contextmanager
def redis_in(place: Path, store: str) -> Iterator[RedisServer | None]:
    """Provide a Redis, set as for production, if it is the store."""
    if store != "redis":
        yield None
        return
    redis = RedisServer(place)
    redis.start()
    try:
        yield redis
    finally:
        redis.end()


@contextlib.asynccontextmanager
async def open_bench(
    options: Options, settings: Mapping[str, Any]
) -> AsyncIterator[Bench]:
    """Provide a bench in a directory that is gone afterwards."""
    with (
        tempfile.TemporaryDirectory(
            prefix="starflow-bench-", dir=options.directory
        ) as place,
        Stage(Path(place)) as stage,
        redis_in(Path(place), options.store) as redis,
    ):
        bench = Bench(stage, options, settings, redis)
        await bench.start()
        yield bench


@dataclass(frozen=True, slots=True)
class Workload:
    """One workload: what it does, what it is measured by, and its defaults."""

    name: str
    words: str
    figures: tuple[Figure, ...]
    play: "Callable[[Workload, Options], Awaitable[Values]]"
    in_flight: int = 1
    # 0: it is measured for a time, and not by a number of runs.
    runs: int = 0

    async def measure(self, options: Options) -> Report:
        """Play it as often as *options* say."""
        shown = {**self.settings(options), "concurrency": options.concurrency}
        shown = {k: v for k, v in shown.items() if v}
        if options.replicas > 1:
            shown["replicas"] = options.replicas
        if options.limit:
            shown["limit"] = options.limit
        shown = {"store": options.store, "worker": options.worker, **shown}
        figures = (*self.figures, Figure("durable append of 4 KiB", "ms"))
        report = Report(self.name, self.words, shown, figures)
        place = options.directory or Path(tempfile.gettempdir())
        for _ in range(options.repeat):
            values = await self.play(self, options)
            # The disk's speed changes with what else uses it: look right after.
            append_ms = durable_append_ms(place)
            report.add({**values, "durable append of 4 KiB": append_ms})
        return report

    def settings(self, options: Options) -> dict[str, Any]:
        """Return what the client is told to do."""
        settings: dict[str, Any] = {"in_flight": options.in_flight or self.in_flight}
        if self.runs:
            settings["runs"] = options.runs or self.runs
        else:
            settings["seconds"] = options.seconds
            settings["warm_up_seconds"] = options.warm_up_seconds
        if self.name == "w1":
            settings["plain"] = options.plain
        if self.name == "w3":
            settings["idle_evict_s"] = _IDLE_EVICT_S
        if self.name == "hog":
            settings["server_flags"] = _NO_BOUNDS
        return settings


async def play_undisturbed(workload: Workload, options: Options) -> Values:
    """Let the client do what it is told, and nothing else happen."""
    async with open_bench(options, workload.settings(options)) as bench:
        return await bench.result(bench.start_client(workload.name))


async def play_w4(workload: Workload, options: Options) -> Values:
    """Play once undisturbed, then with the server killed, then with the worker."""
    settings = workload.settings(options)
    async with open_bench(options, settings) as bench:
        values = await bench.result(bench.start_client("w4"))
        undisturbed_s = values["done_at"] - values["began_at"]
    figures = {"undisturbed": undisturbed_s}
    for victim in ("server", "worker"):
        async with open_bench(options, settings) as bench:
            killed = await play_killed(bench, victim, settings["runs"])
        killed["over undisturbed"] = killed.pop("total") - undisturbed_s
        figures |= {f"{victim} killed: {name}": v for name, v in killed.items()}
    return figures


async def play_killed(bench: Bench, victim: str, runs: int) -> Values:
    """Kill the victim in the middle, with -9, and start it again."""
    steps = runs * scripts.STEPS_A_RUN
    client = bench.start_client("w4")
    await client.until(
        lambda: len(bench.executions()) >= _KILLED_AFTER * steps, "steps are done"
    )
    await (bench.server if victim == "server" else bench.worker).kill()
    await asyncio.sleep(_DOWN_S)
    restart_at = time.monotonic()
    figures = {}
    if victim == "server":
        await bench.server.start()
        figures["restart to listening"] = time.monotonic() - restart_at
    else:
        bench.start_worker()
    values = await bench.result(client)
    executions = bench.executions()
    return {
        **figures,
        "total": values["done_at"] - values["began_at"],
        "restart to all done": values["done_at"] - restart_at,
        "lost runs": values["lost runs"],
        "steps repeated": len(executions) - len(set(executions)),
        "steps never run": steps - len(set(executions)),
    }


_PER_STEP = (
    Figure("CPU per step, server", "us"),
    Figure("CPU per step, server 2", "us"),
    Figure("CPU per step, server 3", "us"),
    Figure("CPU per step, worker", "us"),
    Figure("CPU per step, redis", "us"),
    Figure("CPU per step, client", "us"),
)
_OTHERS = Figure("other cores busy", "")

WORKLOADS = (
    Workload(
        "w1",
        "10 sequential echo steps a run, closed loop",
        (
            Figure("CPU per step", "us", 220),
            *_PER_STEP,
            Figure("steps/s", "", 8_000, is_rate=True),
            Figure("run p50", "ms"),
            Figure("run p99", "ms"),
            _OTHERS,
        ),
        play_undisturbed,
        in_flight=50,
    ),
    Workload(
        "w2",
        "one-step runs, one at a time",
        (
            Figure("run p50", "ms", 2),
            Figure("run p99", "ms", 8),
            Figure("run min", "ms"),
        ),
        play_undisturbed,
        runs=500,
    ),
    Workload(
        "w3",
        "runs that wait for a signal",
        (
            Figure("server memory a run, parked", "KiB"),
            Figure("worker memory a run, parked", "KiB"),
            Figure("server memory a run, evicted", "KiB", 3),
            Figure("worker memory a run, evicted", "KiB"),
            Figure("idle cores", ""),
            Figure("start all", "s"),
            Figure("signal to all done", "s"),
        ),
        play_undisturbed,
        in_flight=50,
        runs=2_000,
    ),
    Workload(
        "w4",
        "runs of 10 steps of 50 ms; kill -9 after 30 % of the steps",
        (
            Figure("undisturbed", "s"),
            Figure("server killed: restart to listening", "s"),
            *(
                Figure(f"{victim} killed: {name}", unit, budget)
                for victim in ("server", "worker")
                for name, unit, budget in (
                    ("over undisturbed", "s", 3),
                    ("restart to all done", "s", None),
                    ("lost runs", "", 0),
                    ("steps repeated", "", 200),
                    ("steps never run", "", 0),
                )
            ),
        ),
        play_w4,
        in_flight=200,
        runs=200,
    ),
    Workload(
        "w5",
        "100 parallel steps joined, closed loop",
        (
            Figure("steps/s", "", 8_000, is_rate=True),
            Figure("CPU per step", "us"),
            *_PER_STEP,
            Figure("alone p50", "ms"),
            Figure("run p50", "ms"),
            Figure("run p99", "ms"),
            _OTHERS,
        ),
        play_undisturbed,
        in_flight=5,
    ),
    Workload(
        "hog",
        "one-step runs, one at a time, while others compute without end",
        (
            Figure("alone run p50", "ms"),
            Figure("alone run p99", "ms"),
            *(
                Figure(f"{hogs} hogs: {name}", unit, budget)
                for hogs in HOGS
                for name, unit, budget in (
                    ("run p50", "ms", None),
                    ("run p99", "ms", None),
                    ("run p50 over alone", "", None),
                    ("run p99 over alone", "", 2),
                )
            ),
        ),
        play_undisturbed,
        runs=500,
    ),
)
