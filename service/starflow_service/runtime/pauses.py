"""Why the service parks a run, and the note that the store keeps of it."""

import json

from starflow_service.engine.errors import ReplayMismatch
from starflow_service.runtime.live import Pause
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


def encode_note(pause: Pause | None) -> bytes:
    """Return the note for *pause*; empty for none."""
    if pause is None:
        return b""
    return json.dumps([pause.reason.name, pause.message]).encode()


def decode_note(note: bytes) -> Pause | None:
    """Return the pause of which *note* tells."""
    if not note:
        return None
    reason, message = json.loads(note)
    return Pause(PauseReason[reason], message)
