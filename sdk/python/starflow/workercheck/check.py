"""Plays the rows, one after the other, and judges."""

import tempfile
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from starflow.errors import RequestError
from starflow.workercheck.scene import Miss, NotApplicable, Scene
from starflow.workercheck.table import FULL, Row, rows_over

PASS = "PASS"
FAIL = "FAIL"
NOT_APPLICABLE = "n.a."


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came out of one row."""

    row: str
    result: str
    asks: str
    # Why it is not PASS.
    reason: str = ""
    # What to do about it, if it is FAIL.
    fix: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


async def check(
    command: Sequence[str],
    *,
    profile: str = FULL,
    only: Collection[str] = (),
    patience: float = 15.0,
    streams: bool = False,
    on_verdict: Callable[[Verdict], None] = lambda _: None,
) -> list[Verdict]:
    """
    Play the rows of *profile*, or those named in *only*, with *command* as the worker.

    It has to poll, unless *streams* are let through.

    Raises:
        OSError: There is no such command.
        RuntimeError: The server cannot be started.
    """
    verdicts = []
    with tempfile.TemporaryDirectory(prefix="starflow-check-") as place:
        async with Scene(command, Path(place), patience, streams=streams) as scene:
            for row in rows_over(streams=streams):
                if only and row.name not in only:
                    continue
                verdict = await _judged(scene, row, profile)
                verdicts.append(verdict)
                on_verdict(verdict)
                if verdict.reason.startswith(_NO_START):
                    break
    return verdicts


_NO_START = "it could not be started: "


async def _judged(scene: Scene, row: Row, profile: str) -> Verdict:
    if profile != FULL and row.profile == FULL:
        reason = f"not in the profile {profile}"
        return Verdict(row.name, NOT_APPLICABLE, row.asks, reason)
    if not scene.worker.is_running:
        try:
            await scene.start_worker()
        except Miss as miss:
            scene.worker.kill()
            return Verdict(row.name, FAIL, row.asks, f"{_NO_START}{miss}", row.fix)
    return await _played(scene, row)


async def _played(scene: Scene, row: Row) -> Verdict:
    try:
        await row.play(scene)
    except NotApplicable as found:
        return Verdict(row.name, NOT_APPLICABLE, row.asks, str(found))
    except (Miss, RequestError) as miss:
        # What is left of a row that failed must not be held against the next.
        scene.worker.kill()
        if not scene.server.is_running:
            await scene.return_server()
        return Verdict(row.name, FAIL, row.asks, str(miss), row.fix)
    finally:
        await scene.clear()
    return Verdict(row.name, PASS, row.asks)
