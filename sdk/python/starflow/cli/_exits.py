"""Exit codes, and the one line for whatever went wrong."""

import json
import sys
from dataclasses import dataclass
from typing import Any

from starflow import errors

OK = 0
FAILED = 1
USAGE = 2
NOT_FOUND = 3
UNREACHABLE = 4
REFUSED = 5
UNFINISHED = 6
FAULT = 7
INTERRUPTED = 130

DESCRIPTION = """\
exit codes:
  0  all went well
  1  the run failed or was cancelled, or the script is not valid
  2  the command line, a file or a value is wrong
  3  there is no such run
  4  the service cannot be reached
  5  the service refused: the id is taken, the run has finished, ...
  6  the run has not finished: time is up, it waits for a signal, or it is paused
  7  a defect of the service
  130  interrupted
"""


class CommandError(Exception):
    """Something is wrong with what the user gave; *message* says how to mend it."""

    def __init__(self, message: str, code: int = USAGE) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Complaint:
    """What to say and how to end."""

    code: int
    message: str
    reason: str = ""


def complaint(error: Exception, address: str) -> Complaint:
    """Return what to say about *error*."""
    if isinstance(error, CommandError):
        return Complaint(error.code, str(error))
    if isinstance(error, errors.RequestError):
        message = f"{_sentence(error.message)}{_fix(error, address)}"
        return Complaint(_request_code(error), message, error.reason)
    if isinstance(error, errors.StarflowError):
        return _run_complaint(error)
    if isinstance(error, OSError):
        name = f"{error.filename}: " if error.filename else ""
        return Complaint(USAGE, f"{name}{error.strerror or error}")
    return Complaint(USAGE, f"{type(error).__name__}: {error}")


def complain(found: Complaint, *, as_json: bool) -> int:
    """Print the one line on standard error and return the exit code."""
    if as_json:
        fields: dict[str, Any] = {"code": found.code, "message": found.message}
        if found.reason:
            fields["reason"] = found.reason
        line = json.dumps({"error": fields}, ensure_ascii=False)
    else:
        line = f"starflow: {' '.join(found.message.split())}"
    print(line, file=sys.stderr)
    return found.code


def _run_complaint(error: errors.StarflowError) -> Complaint:
    if isinstance(error, errors.RunFailed):
        return Complaint(FAILED, str(error), error.code)
    if isinstance(error, errors.RunYielded):
        target = f"{error.signal_id} --output"
        if not error.signal_id:
            target = f"--name {error.signal_name}"
        command = f"starflow signal {error.run_id} {target} JSON"
        return Complaint(UNFINISHED, f"{error}; answer it with: {command}")
    if isinstance(error, errors.RunPaused):
        return Complaint(UNFINISHED, str(error), error.reason)
    if isinstance(error, errors.ResultTimeout):
        return Complaint(UNFINISHED, f"{error}; see starflow get {error.run_id}")
    return Complaint(USAGE, str(error))


def _request_code(error: errors.RequestError) -> int:
    if isinstance(error, errors.InvalidRequest):
        return USAGE
    if isinstance(error, errors.VersionOutOfRange):
        return USAGE
    if isinstance(error, errors.NotFound):
        return NOT_FOUND
    if isinstance(error, errors.Unavailable):
        return UNREACHABLE
    if isinstance(error, errors.ServiceFault):
        return FAULT
    return REFUSED


def _fix(error: errors.RequestError, address: str) -> str:
    if isinstance(error, errors.FunctionUnknown):
        return " (by --allow-unregistered)"
    if isinstance(error, errors.ScriptInvalid):
        return "; starflow validate FILE shows the place"
    if isinstance(error, errors.RunNotFound):
        return "; is --namespace right?"
    if isinstance(error, errors.RunIdConflict):
        return "; choose another --run-id"
    if isinstance(error, errors.SignalNotExpected | errors.RunFinished):
        return "; starflow get RUN shows what it waits for"
    if isinstance(error, errors.Unavailable) and not error.reason:
        return (
            f'; start a server with "starflow serve", or say where it is with '
            f"--address or STARFLOW_ADDRESS (now {address})"
        )
    return ""


def _sentence(message: str) -> str:
    return message.rstrip(". ")
