"""Named points at which a test may kill the server, stall it, or fail what it does.

A crash between two lines can only be tested by crashing there.  Each place that the
promises depend on has a name; `arm` says what happens when the server comes by:

    before_return:kill            the process dies at once, as by kill -9
    before_return:kill:3          ... when it comes by for the third time
    timer_due:sleep(200)          the thread stands still for 200 ms
    before_call:error             the store fails there, and the outcome is unknown

Several are joined by commas.  Nothing is armed unless a test does it, and then a place
costs one look at `armed`: callers write ``if failpoints.armed: failpoints.reach(...)``.
"""

import os
import re
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass

from starflow_backends.store import UnavailableError

POINTS: Mapping[str, str] = {
    "before_start": "a START is decided, and not stored",
    "after_start": "a START is stored, and not acknowledged",
    "before_call": "a CALL is decided, and not stored",
    "after_call": "a CALL is stored, and not offered to workers",
    "after_enqueue": "a call is offered to workers",
    "before_lease": "a worker is about to get tasks",
    "after_lease": "tasks are leased, and the worker does not know yet",
    "complete_received": "a worker has reported, and nothing was done about it",
    "before_return": "a RETURN is decided, and not stored",
    "after_return": "a RETURN is stored, and its report not answered",
    "before_yield": "a YIELD is decided, and not stored",
    "after_yield": "a YIELD is stored, and its report not answered",
    "signal_received": "a signal has come, and nothing was done about it",
    "before_resume": "a RESUME is decided, and not stored",
    "after_resume": "a RESUME is stored, and its signal not answered",
    "before_sleep": "a SLEEP is decided, and not stored",
    "after_sleep": "a SLEEP and its timer are stored, and nobody waits for it yet",
    "timer_due": "a timer is due, and its run does not know",
    "before_finish": "a FINISH is decided, and not stored",
    "after_finish": "a FINISH is stored, and nobody was told",
    "during_replay": "an interpreter is being made from a log",
    "during_recovery": "a server has begun to look for runs that need it",
    "sqlite_before_commit": "a group is written, and not committed",
    "sqlite_after_commit": "a group is committed, and nobody was told",
    "redis_before_append": "an append is about to be sent",
    "redis_after_append": "an append was answered, and nobody was told",
    "shutdown_drain": "the server has begun to stop",
}

# Where an append is under way, which is all that can fail by itself.
_FAILING = frozenset(
    f"{when}_{event}"
    for when in ("before", "after")
    for event in ("start", "call", "return", "yield", "resume", "sleep", "finish")
)

# Whether anything is armed.
armed = False

_SPEC = re.compile(r"([a-z_]+):(kill|error|sleep\(([0-9]{1,6})\))(?::([0-9]{1,6}))?")


@dataclass(slots=True)
class _Armed:
    action: str
    sleep_s: float
    # Which coming-by it is for; 0: each.
    nth: int
    passed: int = 0


_points: dict[str, _Armed] = {}


def check(text: str) -> dict[str, _Armed]:
    """
    Return what *text* would arm.

    Raises:
        ValueError: It is none of the forms above, or names no point.
    """
    return dict(_read(part.strip()) for part in text.split(",") if part.strip())


def arm(text: str) -> None:
    """
    Arm the points that *text* names, and no others; none if it is empty.

    Raises:
        ValueError: It is none of the forms above, or names no point.
    """
    global armed
    points = check(text)
    _points.clear()
    _points.update(points)
    armed = bool(points)


def reach(name: str) -> None:
    """
    Come by the point *name*.

    Raises:
        UnavailableError: It is armed to fail.
    """
    point = _points.get(name)
    if point is None:
        return
    point.passed += 1
    if point.nth and point.passed != point.nth:
        return
    # For whoever wants to do harm elsewhere at this moment.
    sys.stderr.write(f"failpoint {name} is reached\n")
    sys.stderr.flush()
    if point.action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if point.action == "error":
        raise UnavailableError(f"failpoint {name}")
    time.sleep(point.sleep_s)


def _read(part: str) -> tuple[str, _Armed]:
    match = _SPEC.fullmatch(part)
    if match is None:
        raise ValueError(f"{part!r}: it must be NAME:kill|error|sleep(MS)[:NTH]")
    name, action, milliseconds, nth = match.groups()
    if name not in POINTS:
        raise ValueError(f"there is no point {name!r}; there are {', '.join(POINTS)}")
    if action == "error" and name not in _FAILING:
        raise ValueError(f"{name!r} can kill or sleep: no append is under way there")
    return name, _Armed(action, int(milliseconds or 0) / 1000, int(nth or 0))
