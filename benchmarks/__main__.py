"""`python -m benchmarks [WORKLOAD ...]`: plays workloads and prints their figures."""

import argparse
import asyncio
import json
import sys
from pathlib import Path

from benchmarks import engine, language, workloads
from benchmarks.figures import Report
from benchmarks.parked import PARKED
from benchmarks.waiting import WAITING
from benchmarks.workloads import Options

WORKLOADS = (*workloads.WORKLOADS, PARKED, *WAITING)
PARTS = {**engine.PARTS, **language.PARTS}
ALL = [*(workload.name for workload in WORKLOADS), *PARTS]


def parser() -> argparse.ArgumentParser:
    """Return what reads the command line."""
    defaults = Options()
    made = argparse.ArgumentParser("benchmarks", description=workloads.__doc__)
    add = made.add_argument
    add("names", nargs="*", metavar="WORKLOAD", help=f"all, or some of {' '.join(ALL)}")
    add("--store", default=defaults.store, choices=("sqlite", "redis", "memory"))
    add("--seconds", type=float, default=defaults.seconds, help="measured, W1 and W5")
    add("--warm-up", type=float, default=defaults.warm_up_seconds, help="before that")
    add("--in-flight", type=int, default=0, help="runs at a time; 0: the workload's")
    add("--runs", type=int, default=0, help="where it is runs that are counted")
    add("--concurrency", type=int, default=defaults.concurrency, help="of the worker")
    add("--repeat", type=int, default=defaults.repeat, help="for median and spread")
    add("--dir", type=Path, help="where the stores are made; not on a RAM disk")
    add("--limit", type=int, default=0, help="tasks in flight, by a queue; 0: no queue")
    add("--plain", action="store_true", help="W1 calls a plain function, in a thread")
    add("--worker", default=defaults.worker, choices=workloads.WORKERS)
    add("--replicas", type=int, default=1, help="on Redis: servers that share it")
    add("--json", action="store_true", help="print JSON, and nothing else")
    return made


def options_of(arguments: argparse.Namespace) -> Options:
    """Return the options of the workloads."""
    return Options(
        store=arguments.store,
        seconds=arguments.seconds,
        warm_up_seconds=arguments.warm_up,
        in_flight=arguments.in_flight,
        runs=arguments.runs,
        concurrency=arguments.concurrency,
        repeat=arguments.repeat,
        directory=arguments.dir,
        plain=arguments.plain,
        limit=arguments.limit,
        worker=arguments.worker,
        replicas=arguments.replicas,
    )


def measure(name: str, options: Options) -> Report:
    """Measure one workload, or one part."""
    if name in PARTS:
        return PARTS[name](options.repeat)
    (workload,) = (each for each in WORKLOADS if each.name == name)
    return asyncio.run(workload.measure(options))


def main() -> int:
    """Do what the command line says; return the exit status."""
    made = parser()
    arguments = made.parse_args()
    names = arguments.names or ["all"]
    names = ALL if "all" in names else names
    unknown = set(names) - set(ALL)
    if unknown:
        made.error(
            f"there is no {', '.join(sorted(unknown))}: choose from {' '.join(ALL)}"
        )
    reports = []
    for name in names:
        report = measure(name, options_of(arguments))
        reports.append(report.to_dict())
        if not arguments.json:
            print(report.table(), end="\n\n", flush=True)
    if arguments.json:
        print(json.dumps(reports, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
