"""`starflow worker-check`: tells whether a program is a worker that survives."""

import argparse
import asyncio
import shlex
import shutil
import signal

from starflow.cli import _exits, _render, _serve
from starflow.workercheck import ROWS, Verdict
from starflow.workercheck.check import FAIL
from starflow.workercheck.check import check as check_worker

_WIDTH = max(len(row.name) for row in ROWS)


def check(options: argparse.Namespace) -> int:
    """Check the command, and print the table as it grows."""
    _refuse_what_cannot_be(options)
    # As an interrupt, so that server and worker do not outlive us.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        verdicts = asyncio.run(_verdicts(options))
    finally:
        signal.signal(signal.SIGTERM, before)
    failed = [verdict for verdict in verdicts if verdict.result == FAIL]
    if not options.json:
        counted = f"{len(failed)} of {len(verdicts)} rows failed"
        command = shlex.join(options.command)
        print(f"\n{command}: {counted if failed else 'is a worker'}")
    return _exits.FAILED if failed else _exits.OK


async def _verdicts(options: argparse.Namespace) -> list[Verdict]:
    return await check_worker(
        options.command,
        profile=options.profile,
        only=options.only,
        patience=options.patience,
        streams=options.streams,
        on_verdict=_show_json if options.json else _show,
    )


def _refuse_what_cannot_be(options: argparse.Namespace) -> None:
    missing = _serve.missing()
    if missing:
        raise _exits.CommandError(_serve.refusal(missing))
    names = {row.name for row in ROWS}
    if unknown := [name for name in options.only if name not in names]:
        known = ", ".join(row.name for row in ROWS)
        raise _exits.CommandError(f"there is no row {unknown[0]!r}; there are: {known}")
    if shutil.which(options.command[0]) is None:
        raise _exits.CommandError(f"there is no program {options.command[0]!r}")


def _show(verdict: Verdict) -> None:
    line = f"{verdict.result:<5} {verdict.row:<{_WIDTH}} {verdict.asks}"
    print(line, flush=True)
    indent = " " * (_WIDTH + 7)
    for text in (verdict.reason, verdict.fix and f"fix: {verdict.fix}"):
        for each in text.splitlines():
            print(f"{indent}{each}", flush=True)


def _show_json(verdict: Verdict) -> None:
    _render.json_line(verdict.to_dict())
