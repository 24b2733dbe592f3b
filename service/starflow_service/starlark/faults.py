"""Errors of compiled code, in the words of the language.

Compiled code reads variables and elements natively, so some of a script's errors are
Python's.  They are translated by where they were raised, never by their text.
"""

import ast
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any

from starflow_service.starlark import ops
from starflow_service.starlark.errors import (
    Abort,
    EvalError,
    InternalError,
    LimitError,
)
from starflow_service.starlark.pysyntax import Operand
from starflow_service.starlark.trace import (
    error_stack,
    failed_at,
    is_script,
    position,
)

if TYPE_CHECKING:
    from starflow_service.starlark.meter import Meter


def script_error(m: "Meter", error: Exception) -> EvalError:
    """
    Return the script's error that *error* is or stands for, with its stack.

    It holds no frame any more.

    Raises:
        LimitError: *error* is that there is no memory left.
        InternalError: *error* is none of the script's.
    """
    stack = error_stack(error.__traceback__)
    try:
        found = caught(m, error)
    except Abort as abort:
        abort.stack = stack
        raise
    found.stack = stack + found.origin
    return found


def caught(m: "Meter", error: Exception) -> EvalError:
    """
    Return the script's error that *error* is or stands for, without its stack.

    Raises: as `script_error`.
    """
    found = error if isinstance(error, EvalError) else _translated(m, error)
    if found is None:
        raise _internal(error)
    found.__traceback__ = found.__context__ = None
    return found


def _internal(error: Exception) -> LimitError | InternalError:
    if isinstance(error, MemoryError):
        # A charge is missing somewhere; for the script it is a limit like any other.
        return LimitError("memory", "script needs more memory than there is")
    internal = InternalError("internal error of the interpreter")
    internal.__cause__ = error
    return internal


def _translated(m: "Meter", error: Exception) -> EvalError | None:
    innermost = error.__traceback__
    while innermost is not None and innermost.tb_next is not None:
        innermost = innermost.tb_next
    if innermost is None or not is_script(innermost.tb_frame):
        return None
    try:
        _explain(m, error, innermost)
    except EvalError as explained:
        return explained
    return None


def _explain(m: "Meter", error: Exception, where: TracebackType) -> None:
    """
    Raise what the script did wrong, if *error* is the script's.

    Raises:
        EvalError: with the words of the language.
    """
    frame = where.tb_frame
    # To find the place is to walk over the code, and a script may do this in a loop.
    m.work(len(frame.f_code.co_code) >> 2)
    if isinstance(error, NameError):
        raise EvalError(_unset_variable(where))
    program = m.branches.program
    if isinstance(error, IndexError | KeyError) and program is not None:
        pos = position(frame.f_code, where.tb_lasti)
        access = program.access(frame.f_code.co_filename, pos)
        if access is not None:
            owner, index = (_value(operand, frame) for operand in access)
            ops.index(m, owner, index)


def _value(operand: Operand, frame: FrameType) -> Any:
    if isinstance(operand, ast.Constant):
        return operand.value
    variables = frame.f_locals
    if operand.id in variables:
        return variables[operand.id]
    return frame.f_globals[operand.id]


def _unset_variable(traceback: TracebackType) -> str:
    variable = str(failed_at(traceback).argval)
    scope = "global" if variable.endswith("!") else "local"
    name = variable.partition("!")[0]
    return f"{scope} variable {name} referenced before assignment"
