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


def lost_history(acknowledged_version: int, version: int) -> Pause:
    """Return the pause of a run that had more events than the store has."""
    message = (
        f"the store lost events of this run: it had {acknowledged_version}, and"
        f" {version} are left. Workers may have done what the lost ones told."
        " UnpauseRun lets the run go on from its last event, TerminateRun ends it"
    )
    return Pause(PauseReason.LOST_HISTORY, message)


def crash_loop(times: int) -> Pause:
    """Return the pause of a run that took its process down so often."""
    message = (
        f"the server's process died {times} times while it was computing this run;"
        " its log tells more, and UnpauseRun lets the run try again"
    )
    return Pause(PauseReason.CRASH_LOOP, message)
