"""Starlark stacks out of Python frames.

The code generator gives every instruction the script's line and column, so that a stack
costs nothing until somebody asks for it.
"""

from dis import Instruction, get_instructions
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
            calls = traceback.tb_next is not None
            lasti = traceback.tb_lasti if calls else failed_at(traceback).offset
            stack.append(_frame(traceback.tb_frame.f_code, lasti))
        traceback = traceback.tb_next
    return stack


def failed_at(where: TracebackType) -> Instruction:
    """
    Return the instruction of the innermost frame *where* that failed.

    CPython joins some instructions with the next one once code has run a few times, and
    then gives the place of the first for what the second did: to read a variable that
    is not set.  What a script sees must not depend on how often its code has run.
    """
    frame = where.tb_frame
    instructions = get_instructions(frame.f_code)
    first = next(i for i in instructions if i.offset == where.tb_lasti)
    if first.opname in _JOINED and not _reads_unset(first, frame):
        second = next(instructions, first)
        if _reads_unset(second, frame):
            return second
    return first


# Those that are joined with a read of a local variable, none of which fails itself but
# by reading one.
_JOINED = frozenset({"LOAD_CONST", "LOAD_FAST", "STORE_FAST"})


def _reads_unset(instruction: Instruction, frame: FrameType) -> bool:
    is_read = instruction.opname in ("LOAD_FAST", "LOAD_FAST_CHECK")
    return is_read and instruction.argval not in frame.f_locals


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
