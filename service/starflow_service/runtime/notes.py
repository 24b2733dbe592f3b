"""The note of a run: what the store keeps of it beside its log.

Like all of the index it is derived.  Without it the log is read from its beginning, and
what a script prints may be printed once more.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from starflow_service.engine.events import Event, Start
from starflow_service.runtime.types import PauseReason


@dataclass(frozen=True, slots=True)
class Pause:
    """Why the service parked a run."""

    reason: PauseReason
    message: str


@dataclass(frozen=True, slots=True)
class Segments:
    """
    Where the last two segments of a log begin: the versions before their STARTs.

    The script is replayed over the present one.  The earlier one is read, too, for the
    request ids of signals that a sender may still repeat.
    """

    present: int = 0
    earlier: int = 0
    # How often the script has begun again.
    restarts: int = 0

    def after(self, events: Iterable[Event]) -> "Segments":
        """Return the segments once *events*, of which some may be known, are there."""
        segments = self
        for event in events:
            base = event.version - 1
            if type(event) is Start and base > segments.present:
                segments = Segments(base, segments.present, segments.restarts + 1)
        return segments


NO_RESTARTS = Segments()


@dataclass(frozen=True, slots=True)
class Note:
    """What the store keeps."""

    pause: Pause | None = None
    segments: Segments = NO_RESTARTS
    # When the run was accepted; kept once the script has begun again, else 0.
    create_ns: int = 0
    # How many lines of the present segment have been printed.
    lines: int = 0

    def encode(self) -> bytes:
        """Return the note as bytes; none if there is nothing to note."""
        fields: dict[str, Any] = {}
        if self.pause is not None:
            fields["pause"] = [self.pause.reason.name, self.pause.message]
        if self.segments is not NO_RESTARTS:
            segments = self.segments
            fields["segments"] = [
                segments.present,
                segments.earlier,
                segments.restarts,
                self.create_ns,
            ]
        if self.lines:
            fields["lines"] = self.lines
        return json.dumps(fields).encode() if fields else b""

    @classmethod
    def decode(cls, data: bytes) -> "Note":
        """Return the note that *data* holds."""
        if not data:
            return cls()
        fields = json.loads(data)
        pause = fields.get("pause")
        segments = fields.get("segments")
        return cls(
            pause and Pause(PauseReason[pause[0]], pause[1]),
            Segments(*segments[:3]) if segments else NO_RESTARTS,
            segments[3] if segments else 0,
            fields.get("lines", 0),
        )
