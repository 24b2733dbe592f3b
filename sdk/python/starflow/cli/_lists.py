"""`starflow list` and `starflow delete`."""

import argparse
import re
import sys
from datetime import UTC, datetime, timedelta

from starflow._client import Client
from starflow._model import RunInfo
from starflow.cli import _exits, _render
from starflow.errors import RunNotFound

STATES = ("running", "sleeping", "yielded", "succeeded", "failed", "cancelled")
LIST_EXAMPLES = (
    "  starflow list --state failed --since 24h\n"
    "  starflow list --label team=shop --label env=prod --limit 1000\n"
    "  starflow list --state failed --json | jq -r .id"
)
DELETE_EXAMPLES = (
    "  starflow delete order-A-1\n"
    "  starflow list --before 30d --state succeeded --limit 1000 --json |\n"
    "    jq -r .id | starflow delete -"
)
_LIMIT = 50
_AGO = re.compile(r"([0-9]{1,6})(s|m|h|d)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def add_list_arguments(parser: argparse.ArgumentParser) -> None:
    """Let *parser* read what `starflow list` takes."""
    add = parser.add_argument
    add(
        "--state",
        metavar="STATE",
        action="append",
        choices=STATES,
        default=[],
        help=f"one of {', '.join(STATES)}; more than one may be given",
    )
    add(
        "--label",
        metavar="NAME=VALUE",
        action="append",
        type=label,
        default=[],
        help="only runs with this label; all that are given must hold",
    )
    time = "a time such as 2026-01-31T12:00Z, or how long ago, such as 24h or 30d"
    add(
        "--since",
        metavar="TIME",
        type=_time,
        help=f"only runs begun since then: {time}",
    )
    add("--before", metavar="TIME", type=_time, help="only runs begun before then")
    add("--prefix", metavar="ID", default="", help="only runs whose id begins so")
    add("--script", metavar="HASH", default="", help="only runs of this script")
    paused = parser.add_mutually_exclusive_group()
    paused.add_argument("--paused", action="store_true", help="only paused runs")
    paused.add_argument("--not-paused", action="store_true", help="only others")
    add(
        "--limit",
        metavar="N",
        type=_count,
        default=_LIMIT,
        help=f"the most runs to print, {_LIMIT} if left out; 0 for all",
    )


def add_delete_arguments(parser: argparse.ArgumentParser) -> None:
    """Let *parser* read what `starflow delete` takes."""
    add = parser.add_argument
    add(
        "runs", metavar="RUN", nargs="+", help="a run's id; - for ids on standard input"
    )
    add("--missing-ok", action="store_true", help="a run that is not there is deleted")


def label(text: str) -> tuple[str, str]:
    """Return name and value of a label as it is typed."""
    name, is_pair, value = text.partition("=")
    if not (name and is_pair):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


async def list_runs(client: Client, options: argparse.Namespace) -> int:
    """Print runs, the newest first."""
    limit, count = options.limit, 0
    lines = _Lines(as_json=options.json)
    found = client.list(
        states=options.state,
        labels=dict(options.label),
        since=options.since,
        before=options.before,
        paused=options.paused or (False if options.not_paused else None),
        script_hash=options.script,
        prefix=options.prefix,
    )
    async for info in found:
        if limit and count == limit:
            lines.more(limit)
            break
        lines.add(info)
        count += 1
    await found.aclose()
    return _exits.OK


async def delete(client: Client, options: argparse.Namespace) -> int:
    """Delete runs that have finished."""
    for run in _runs(options.runs):
        deleted = await client.delete(run, missing_ok=True)
        if not (deleted or options.missing_ok):
            raise RunNotFound(f"there is no run {run}", reason="RUN_NOT_FOUND")
        if options.json:
            _render.json_line({"id": run, "deleted": deleted})
        else:
            print(f"{run} is deleted" if deleted else f"{run} was not there")
    return _exits.OK


def _runs(given: list[str]) -> list[str]:
    if given != ["-"]:
        return given
    return [line.strip() for line in sys.stdin if line.strip()]


class _Lines:
    """Prints runs one by one, as they come."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._has_head = False

    def add(self, info: RunInfo) -> None:
        """Print *info*."""
        if self._as_json:
            _render.json_line(info.to_dict())
            return
        if not self._has_head:
            self._has_head = True
            print(f"{'STATE':<10}  {'CREATED (UTC)':<19}  {'EVENTS':>6}  RUN")
        state = f"{info.state}*" if info.paused else info.state
        created = f"{info.create_time:%Y-%m-%d %H:%M:%S}" if info.create_time else ""
        labels = " ".join(f"{k}={v}" for k, v in sorted(info.labels.items()))
        line = f"{state:<10}  {created:<19}  {info.version:>6}  {info.id}  {labels}"
        print(line.rstrip(), flush=True)

    def more(self, limit: int) -> None:
        """Say that there are more."""
        if not self._as_json:
            print(f"the newest {limit}; --limit 0 lists all", file=sys.stderr)


def _time(text: str) -> datetime:
    if (match := _AGO.fullmatch(text)) is not None:
        return datetime.now(UTC) - timedelta(**{_UNITS[match[2]]: int(match[1])})
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        problem = f"{text!r} is no time, such as 2026-01-31T12:00Z, 24h or 30d"
        raise argparse.ArgumentTypeError(problem) from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of runs")
    return int(text)
