"""Points that fail on purpose: what can be armed, and what then happens there."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from starflow_backends import failpoints
from starflow_backends.store import UnavailableError

ROOMS = ("backends/starflow_backends", "service/starflow_service")


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    yield
    failpoints.arm("")


def test_nothing_is_armed_by_itself() -> None:
    assert not failpoints.armed
    failpoints.reach("before_return")


def test_a_point_fails_what_is_done_there_each_time() -> None:
    failpoints.arm("before_return:error")

    assert failpoints.armed
    for _ in range(2):
        with pytest.raises(UnavailableError, match="failpoint before_return"):
            failpoints.reach("before_return")
    failpoints.reach("after_return")


def test_a_number_names_one_coming_by() -> None:
    failpoints.arm("before_call:error:2, timer_due:sleep(1)")

    failpoints.reach("before_call")
    failpoints.reach("timer_due")
    with pytest.raises(UnavailableError):
        failpoints.reach("before_call")
    failpoints.reach("before_call")


def test_kill_is_kill_9() -> None:
    program = (
        "from starflow_backends import failpoints;"
        "failpoints.arm('before_finish:kill'); failpoints.reach('before_finish')"
    )

    ended = subprocess.run([sys.executable, "-c", program], check=False)

    assert ended.returncode == -signal.SIGKILL


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("before_return", "NAME:kill|error|sleep(MS)"),
        ("before_return:explode", "NAME:kill|error|sleep(MS)"),
        ("before_retrun:kill", "there is no point 'before_retrun'"),
        ("before_return:sleep(x)", "NAME:kill|error|sleep(MS)"),
        ("before_return:kill:x", "NAME:kill|error|sleep(MS)"),
        ("before_lease:error", "can kill or sleep"),
    ],
)
def test_what_names_no_point_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=r"there is no|must be|can kill") as refusal:
        failpoints.arm(text)

    assert problem in str(refusal.value)
    assert not failpoints.armed


def test_every_point_is_somewhere_in_the_server() -> None:
    root = Path(__file__).parents[2]
    paths = [path for room in ROOMS for path in (root / room).rglob("*.py")]
    code = "".join(p.read_text() for p in paths if p.name != "failpoints.py")
    # Those of events are named after the event's class.
    events = {"start", "call", "return", "yield", "resume", "sleep", "finish"}
    of_events = {f"{when}_{event}" for when in ("before", "after") for event in events}

    missing = [
        name
        for name in failpoints.POINTS
        if f'reach("{name}")' not in code and name not in of_events
    ]

    assert of_events <= set(failpoints.POINTS)
    assert not missing


def test_every_point_is_written_down() -> None:
    text = (Path(__file__).parents[2] / "docs/operating.md").read_text()
    rows = re.findall(r"^\| `([a-z_]+)` \| (.*) \|$", text, re.MULTILINE)

    documented = {name: words for name, words in rows if name in failpoints.POINTS}
    assert documented == failpoints.POINTS
