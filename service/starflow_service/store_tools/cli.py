"""`starflow store check | export | import | reindex`, while no server has the store."""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from starflow_backends import (
    Durability,
    Phase,
    SharedStore,
    Store,
    StoredRun,
    StoreError,
    claim_all,
    open_store,
    shown_url,
)
from starflow_service.store_tools import lines
from starflow_service.store_tools.audit import Audit, Report
from starflow_service.store_tools.exports import DamagedError, export_runs
from starflow_service.store_tools.imports import import_runs

OK, PROBLEMS, USAGE = 0, 1, 2

_DEFAULT = "sqlite:starflow.db"
_DESCRIPTION = """\
Checks a store, and moves runs between stores. No server must use it meanwhile: SQLite
is locked, and of Redis all partitions are taken.

exit codes:
  0  all is well
  1  something is wrong with the store or the file, or runs were left out
  2  the command line is wrong, or the store cannot be opened
"""

Command = Callable[[Store, argparse.Namespace], Awaitable[int]]


class _UsageError(Exception):
    """The command line cannot be meant so."""


def main(arguments: Sequence[str]) -> int:
    """Carry out what the command line says; return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        return asyncio.run(_execute(options))
    except (_UsageError, ValueError) as error:
        return _complain(error, USAGE)
    except StoreError as error:
        return _complain(f"--store {shown_url(options.store)}: {error}", USAGE)
    except (lines.FileError, DamagedError, OSError) as error:
        return _complain(error, PROBLEMS)
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "starflow store",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--store",
        metavar="URL",
        default=os.environ.get("STARFLOW_STORE") or _DEFAULT,
        help=f"as for starflow serve; else STARFLOW_STORE, else {_DEFAULT}",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def add(name: str, command: Command, help: str) -> argparse.ArgumentParser:
        made = commands.add_parser(
            name, help=help, description=f"{help.capitalize()}.", parents=[common]
        )
        made.set_defaults(command=command, is_writing=name in ("import", "reindex"))
        return made

    check = add("check", _check, "check every event, and the index against the logs")
    check.add_argument("--json", action="store_true", help="print JSON")
    export = add("export", _export, "write runs to a file")
    export.add_argument("file", metavar="FILE", help="new; - for stdout")
    export.add_argument("--namespace", metavar="NAME", help="only runs of it")
    export.add_argument("--run", metavar="ID", action="append", help="only this run")
    which = export.add_mutually_exclusive_group()
    which.add_argument("--open", action="store_true", help="only runs that go on")
    which.add_argument("--finished", action="store_true", help="only those that do not")
    load = add(
        "import", _import, "read runs out of a file; to repeat it changes nothing"
    )
    load.add_argument(
        "file", metavar="FILE", help="what export has written; - for stdin"
    )
    load.add_argument(
        "--durability",
        choices=[level.value for level in Durability],
        help="the least that the store promises, as for starflow serve",
    )
    add(
        "reindex",
        _reindex,
        "throw the index away: the next server makes it again from the logs",
    )
    return parser


async def _execute(options: argparse.Namespace) -> int:
    if not options.is_writing or options.command is _reindex:
        _refuse_missing(options.store)
    # What is only read need not be safe.
    level = Durability.MEMORY if not options.is_writing else None
    if chosen := getattr(options, "durability", None):
        level = Durability(chosen)
    store = open_store(options.store, durability=level)
    command: Command = options.command
    await store.open()
    try:
        if isinstance(store, SharedStore):
            await claim_all(store)
        return await command(store, options)
    finally:
        await store.close()


def _refuse_missing(url: str) -> None:
    """Refuse a database that is not there: opening would make it."""
    scheme, colon, rest = url.partition(":")
    if colon and scheme.lower() != "sqlite":
        return
    path = Path(rest.removeprefix("//") if colon else url)
    if not path.exists():
        raise _UsageError(f"--store {url}: there is no such file")


async def _check(store: Store, options: argparse.Namespace) -> int:
    report = await Audit(store).run()
    if options.json:
        _say(json.dumps(_document(report)))
    else:
        _tell(report)
    return PROBLEMS if report.problem_count else OK


def _tell(report: Report) -> None:
    for problem in report.problems:
        _say(problem)
    more = report.problem_count - len(report.problems)
    if more:
        _say(f"and {more:,} problems more")
    counts = (
        f"{report.runs:,} runs, {report.events:,} events, {report.scripts:,} scripts"
    )
    verdict = (
        f"{report.problem_count:,} problems" if report.problem_count else "all well"
    )
    _say(f"{counts}: {verdict}")


def _document(report: Report) -> dict[str, object]:
    return {
        "runs": report.runs,
        "events": report.events,
        "scripts": report.scripts,
        "problem_count": report.problem_count,
        "problems": [
            {"run": each.run, "version": each.version, "problem": each.words}
            for each in report.problems
        ],
    }


async def _export(store: Store, options: argparse.Namespace) -> int:
    wanted = set(options.run or ())

    def is_wanted(key: str, stored: StoredRun) -> bool:
        namespace, _, run_id = key.partition("/")
        if options.namespace not in (None, namespace):
            return False
        is_finished = stored.phase is Phase.FINISHED
        if (options.open and is_finished) or (options.finished and not is_finished):
            return False
        return not wanted or run_id in wanted

    with lines.writing(options.file) as writer:
        progress = await export_runs(store, writer, is_wanted)
    progress.tell()
    return OK


async def _import(store: Store, options: argparse.Namespace) -> int:
    with lines.reading(options.file) as reader:
        outcome = await import_runs(store, reader)
    for key, why in outcome.conflicts.items():
        _say(f"run {key} was left alone: {why}")
    _say(
        f"{outcome.imported:,} runs imported ({outcome.events:,} events),"
        f" {outcome.present:,} were there, {len(outcome.conflicts):,} left alone"
    )
    return PROBLEMS if outcome.conflicts else OK


async def _reindex(store: Store, options: argparse.Namespace) -> int:
    await store.clear_index()
    _say("the index is empty: the next server makes it again when it starts")
    return OK


def _say(words: object) -> None:
    sys.stdout.write(f"{words}\n")


def _complain(problem: object, code: int) -> int:
    sys.stderr.write(f"starflow store: {problem}\n")
    return code
