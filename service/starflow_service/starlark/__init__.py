"""Starlark: the language of scripts, compiled to Python and metered.

`compile_program` makes a `Program` of a text; a `Thread` runs it, asks its `Host` for
everything it cannot know, and says by an `Outcome` why it stopped.  The package is
pure: it neither waits nor looks at the world.
"""

from starflow_service.starlark.bundle import Bundle
from starflow_service.starlark.diagnostics import Diagnostic, ScriptSyntaxError
from starflow_service.starlark.errors import (
    Abort,
    EvalError,
    Frame,
    InternalError,
    Killed,
    LimitError,
)
from starflow_service.starlark.host import Context, Future, Host
from starflow_service.starlark.limits import DEFAULT_LIMITS, Limits
from starflow_service.starlark.meter import Meter
from starflow_service.starlark.outcomes import (
    Aborted,
    Failed,
    Outcome,
    Returned,
    Sliced,
    Suspended,
)
from starflow_service.starlark.program import Program, compile_bundle, compile_program
from starflow_service.starlark.syntax import Pos
from starflow_service.starlark.thread import Thread

__all__ = [
    "DEFAULT_LIMITS",
    "Abort",
    "Aborted",
    "Bundle",
    "Context",
    "Diagnostic",
    "EvalError",
    "Failed",
    "Frame",
    "Future",
    "Host",
    "InternalError",
    "Killed",
    "LimitError",
    "Limits",
    "Meter",
    "Outcome",
    "Pos",
    "Program",
    "Returned",
    "ScriptSyntaxError",
    "Sliced",
    "Suspended",
    "Thread",
    "compile_bundle",
    "compile_program",
]
