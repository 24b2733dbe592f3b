"""What can go wrong with a log.

* EngineError (Exception)
  x LogCorruptError         the log holds a sequence that no engine writes
  x SignalRefusal           a signal that the run cannot take
    - UnknownSignalError    the run never had this signal id
    - NotWaitingError       the run does not wait for it at this moment
    - AnsweredError         the signal id was answered before, differently
    - TooManySignalsError   the run keeps as many unread signals as it may
* ReplayMismatch (Abort)    the script asked for something else than its log holds

A ReplayMismatch is no Exception, so that no script can hold it: the run stays exactly
as it was, its log is the truth, and a corrected service may still finish it.
"""

from starflow_service.starlark.errors import Abort


class EngineError(Exception):
    """The base of the errors that the engine raises on purpose."""


class LogCorruptError(EngineError):
    """The log holds a sequence of events that no engine writes."""

    def __init__(self, version: int, problem: str) -> None:
        super().__init__(f"event {version}: {problem}")
        self.version = version


class SignalRefusal(EngineError):
    """A signal that the run cannot take."""


class UnknownSignalError(SignalRefusal):
    """The run never had this signal id."""


class NotWaitingError(SignalRefusal):
    """The run does not wait for the signal at this moment."""


class AnsweredError(SignalRefusal):
    """The signal id, or request id, was answered before, with another content."""


class TooManySignalsError(SignalRefusal):
    """The run keeps as many signals by name as it may, and reads none of them."""


class ReplayMismatch(Abort):
    """The script asked for something else than its log holds at *version*."""

    def __init__(self, version: int, recorded: str, asked: str) -> None:
        super().__init__(
            f"event {version} records {recorded}, but the script now {asked}"
        )
        self.version = version
        self.recorded = recorded
        self.asked = asked
