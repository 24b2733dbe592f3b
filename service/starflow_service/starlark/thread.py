"""One run's interpreter: a greenlet that can be left in the middle of a call.

The rules that keep greenlets safe beside an event loop:

* There is one hub, the greenlet that runs the event loop, and it enters a thread
  directly.  The thread's parent is set at every entry, because whoever runs out or
  fails falls to its parent.
* Nothing crosses as an exception but KeyboardInterrupt and SystemExit: an error of one
  script that surfaced in the hub would end whatever the hub was serving.  The body
  returns outcomes instead.
* The garbage collector cannot see what a suspended greenlet holds.  So a thread is
  ended by throwing `Killed` into it, and never just dropped; and no frame of the body
  holds the `Thread`.
"""

import ast
import dis
import sys
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

from greenlet import getcurrent, greenlet

from starflow_service.starlark import ops
from starflow_service.starlark.errors import (
    Abort,
    EvalError,
    Frame,
    InternalError,
    Killed,
    LimitError,
)
from starflow_service.starlark.host import Context, Host
from starflow_service.starlark.limits import DEFAULT_LIMITS, Limits
from starflow_service.starlark.meter import Meter
from starflow_service.starlark.outcomes import Aborted, Failed, Outcome, Returned
from starflow_service.starlark.program import Program
from starflow_service.starlark.pysyntax import Operand
from starflow_service.starlark.trace import (
    error_stack,
    is_script,
    live_stack,
    position,
)

# Calls nest up to `Limits.max_call_depth`, each with a few frames of ours between two
# of the script's, and values up to `max_nesting`.  CPython's own limit must never be
# the one that is reached: it could strike inside a `finally` that unlocks a list.  It
# is process-wide, so it is set once and here.
RECURSION_LIMIT = 6_000

if sys.getrecursionlimit() < RECURSION_LIMIT:
    sys.setrecursionlimit(RECURSION_LIMIT)


class Thread:
    """
    One execution of a program, from its top level to the end of `main`.

    Every method belongs to the thread of the event loop.
    """

    __slots__ = ("_greenlet", "meter", "program")

    def __init__(
        self, program: Program, host: Host, limits: Limits = DEFAULT_LIMITS
    ) -> None:
        self.program = program
        self.meter = Meter(host, limits)
        self._greenlet: greenlet | None = None

    def start(self, input_value_factory: Callable[[Meter], Any]) -> Outcome:
        """
        Run until the script waits, ends, or has used its slice.

        The input is built inside, so that it is paid for by the run.

        Raises:
            RuntimeError: it was started before.
        """
        if self._greenlet is not None:
            raise RuntimeError("the thread was started before")
        self._greenlet = greenlet(run_program)
        return self._enter(self.program, self.meter, input_value_factory)

    def resume(self) -> Outcome:
        """
        Go on after `Suspended` or `Sliced`.

        Raises:
            RuntimeError: there is nothing to go on with.
        """
        if self._greenlet is None or self._greenlet.dead:
            raise RuntimeError("the thread is not waiting")
        return self._enter()

    def kill(self) -> None:
        """End it, from the hub.  Ending it again does nothing."""
        child = self._greenlet
        if child is None or child.dead:
            return
        child.parent = getcurrent()
        throw(child, Killed("the interpreter was dropped"))
        assert child.dead, "something swallowed Killed"

    def grant(self, events: int) -> None:
        """Begin an activation: a full step budget, and memory for *events* events."""
        self.meter.grant(events)

    def stack(self) -> list[Frame]:
        """Return where the script waits, outermost first."""
        child = self._greenlet
        return [] if child is None else live_stack(child.gr_frame)

    def _enter(self, *arguments: Any) -> Outcome:
        child = self._greenlet
        hub = getcurrent()
        if child is hub:
            raise RuntimeError("a script cannot resume itself")
        assert child is not None
        child.parent = self.meter.hub = hub
        try:
            return enter(child, *arguments)
        finally:
            self.meter.hub = None


def enter(child: greenlet, *arguments: Any) -> Outcome:
    """
    Switch to a script.

    A function of its own because a tracer, such as the one that measures coverage,
    finds its place again only at a call or a return.
    """
    outcome: Outcome = child.switch(*arguments)
    return outcome


def throw(child: greenlet, error: Abort) -> None:
    """Raise *error* where a script waits, as `enter` a function of its own."""
    child.throw(error)


def run_program(
    program: Program, m: Meter, input_value_factory: Callable[[Meter], Any]
) -> Outcome:
    """Run a program to its end: the body of a thread's greenlet."""
    try:
        return Returned(_run(program, m, input_value_factory))
    except EvalError as error:
        return Failed(_traced(error))
    except Killed as killed:
        # Nobody asks where it stood, and many may be dropped at once.
        killed.__traceback__ = None
        return Aborted(killed)
    except Abort as abort:
        return Aborted(_traced(abort))
    except MemoryError:
        # A charge is missing somewhere; for the script it is a limit like any other.
        message = "script needs more memory than there is"
        return Aborted(LimitError("memory", message))
    except Exception as error:
        return _unforeseen(program, m, error)


def _run(
    program: Program, m: Meter, input_value_factory: Callable[[Meter], Any]
) -> Any:
    main = program.execute(m)
    result = main(Context(), input_value_factory(m))
    m.host.finish(m, result)
    return result


def _traced(error: Any) -> Any:
    """Fill in the stack, and let go of the frames."""
    error.stack = error_stack(error.__traceback__)
    error.__traceback__ = error.__context__ = None
    return error


def _unforeseen(program: Program, m: Meter, error: Exception) -> Outcome:
    """
    Translate an error of Python's by where it was raised, never by its text.

    Compiled code reads variables and elements natively, and only these errors are the
    script's own.
    """
    innermost = error.__traceback__
    while innermost is not None and innermost.tb_next is not None:
        innermost = innermost.tb_next
    stack = error_stack(error.__traceback__)
    if innermost is not None and is_script(innermost.tb_frame):
        try:
            _explain(program, m, error, innermost)
        except EvalError as explained:
            explained.stack = stack
            explained.__traceback__ = explained.__context__ = None
            return Failed(explained)
    internal = InternalError("internal error of the interpreter")
    internal.stack = stack
    internal.__cause__ = error
    return Aborted(internal)


def _explain(
    program: Program, m: Meter, error: Exception, where: TracebackType
) -> None:
    """
    Raise what the script did wrong, if *error* is the script's.

    Raises:
        EvalError: with the words of the language.
    """
    frame = where.tb_frame
    if isinstance(error, NameError):
        raise EvalError(_unset_variable(where))
    if isinstance(error, IndexError | KeyError):
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
    code = traceback.tb_frame.f_code
    instruction = next(
        i for i in dis.get_instructions(code) if i.offset == traceback.tb_lasti
    )
    variable = str(instruction.argval)
    scope = "global" if variable.endswith("!") else "local"
    name = variable.partition("!")[0]
    return f"{scope} variable {name} referenced before assignment"
