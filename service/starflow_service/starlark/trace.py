"""Starlark stacks out of Python frames.

The code generator gives every instruction the script's line and column, so that a stack
costs nothing until somebody asks for it.
"""

from inspect import currentframe
from itertools import islice
from types import CodeType, FrameType, TracebackType

from starflow_service.starlark.errors import Frame
from starflow_service.starlark.syntax import Pos

# The global that holds a run's meter; only compiled scripts have it, for no name that a
# script can spell contains "!".
METER = "!M"


def is_script(frame: FrameType) -> bool:
    """Tell whether *frame* runs code that was compiled from a script."""
    return METER in frame.f_globals


def error_stack(traceback: TracebackType | None) -> list[Frame]:
    """Return the script's part of *traceback*, outermost first."""
    stack: list[Frame] = []
    while traceback is not None:
        if is_script(traceback.tb_frame):
            stack.append(_frame(traceback.tb_frame.f_code, traceback.tb_lasti))
        traceback = traceback.tb_next
    return stack


def innermost() -> tuple[str, Pos]:
    """
    Return the file and the place that the running script is at.

    No file and no place if a built-in runs that no code of the script has called, but
    the interpreter: a deferred one, say.
    """
    frame = currentframe()
    while frame is not None:
        if is_script(frame):
            return frame.f_code.co_filename, position(frame.f_code, frame.f_lasti)
        frame = frame.f_back
    return "", Pos(0, 0)


def live_stack(frame: FrameType | None) -> list[Frame]:
    """Return the script's part of the frames from *frame* outwards, outermost first."""
    stack: list[Frame] = []
    while frame is not None:
        if is_script(frame):
            stack.append(_frame(frame.f_code, frame.f_lasti))
        frame = frame.f_back
    stack.reverse()
    return stack


def position(code: CodeType, lasti: int) -> Pos:
    """Return where in the script the instruction at offset *lasti* comes from."""
    places = next(islice(code.co_positions(), lasti // 2, None))
    line, _, column, _ = places
    return Pos(line or 0, 0 if column is None else column + 1)


def _frame(code: CodeType, lasti: int) -> Frame:
    name = code.co_name.partition("!")[0]
    return Frame(name, code.co_filename, position(code, lasti))
