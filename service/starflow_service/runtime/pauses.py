"""Why the service parks a run."""

from starflow_service.engine.errors import ReplayMismatch
from starflow_service.runtime.notes import Pause
from starflow_service.runtime.types import PauseReason
from starflow_service.starlark.errors import Abort, LimitError

_MESSAGE_MAX = 8192


def pause_of(abort: Abort | None) -> Pause:
    """Return the pause that *abort*, the end of a turn, leads to."""
    if abort is None:
        return Pause(PauseReason.INTERNAL, "the script stopped for no known reason")
    reason, message = PauseReason.INTERNAL, abort.message
    if isinstance(abort, LimitError):
        reason, message = PauseReason.LIMIT, f"{abort.limit}: {message}"
    elif isinstance(abort, ReplayMismatch):
        reason = PauseReason.REPLAY_MISMATCH
    stack = "".join(f"\n  {frame}" for frame in abort.stack)
    return Pause(reason, f"{message}{stack}"[:_MESSAGE_MAX])


def crash_loop(times: int) -> Pause:
    """Return the pause of a run that took its process down so often."""
    message = (
        f"the server's process died {times} times while it was computing this run;"
        " its log tells more, and UnpauseRun lets the run try again"
    )
    return Pause(PauseReason.CRASH_LOOP, message)
