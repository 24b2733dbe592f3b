"""One run's interpreter: greenlets that can be left in the middle of a call.

The rules that keep greenlets safe beside an event loop:

* There is one hub, the greenlet that runs the event loop, and it enters a branch of the
  script directly.  The branch's parent is set at every entry, because whoever runs out
  or fails falls to its parent.
* Nothing crosses as an exception but KeyboardInterrupt and SystemExit: an error of one
  script that surfaced in the hub would end whatever the hub was serving.  The bodies
  return outcomes instead.
* The garbage collector cannot see what a suspended greenlet holds.  So a branch is
  ended by throwing `Killed` into it, and never just dropped; and no frame of a body
  holds the `Thread`.
"""

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from greenlet import getcurrent, greenlet

from starflow_service.starlark import jsontext
from starflow_service.starlark.branches import Work
from starflow_service.starlark.calls import call
from starflow_service.starlark.errors import (
    Abort,
    Cancelled,
    Frame,
    Killed,
    Restarting,
)
from starflow_service.starlark.faults import script_error
from starflow_service.starlark.host import Context, Host
from starflow_service.starlark.limits import DEFAULT_LIMITS, Limits
from starflow_service.starlark.meter import Meter
from starflow_service.starlark.outcomes import (
    GAVE_WAY,
    SLICED,
    SUSPENDED,
    Aborted,
    Failed,
    Outcome,
    Restarted,
    Returned,
)
from starflow_service.starlark.program import Program
from starflow_service.starlark.remains import WORTH, variables
from starflow_service.starlark.trace import error_stack, live_stack

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

    __slots__ = ("_branches", "meter", "program")

    def __init__(
        self, program: Program, host: Host, limits: Limits = DEFAULT_LIMITS
    ) -> None:
        self.program = program
        self.meter = Meter(host, limits)
        self._branches = self.meter.branches
        self._branches.program = program

    def start(self, input_value_factory: Callable[[Meter], Any]) -> Outcome:
        """
        Run until the script waits, ends, or has used its slice.

        The input is built inside, so that it is paid for by the run.

        Raises:
            RuntimeError: it was started before.
        """
        main = self._branches.main
        if main.greenlet is not None:
            raise RuntimeError("the thread was started before")
        main.greenlet = greenlet(
            partial(run_program, self.program, self.meter, input_value_factory)
        )
        self._branches.interrupted = main
        return self.resume()

    def resume(self) -> Outcome:
        """
        Let the branches that can go on run, until none can.

        A branch that was left in the middle of its slice, or suspended itself without
        waiting for anything, goes on first.

        Raises:
            RuntimeError: there is nothing to go on with.
        """
        branches, m = self._branches, self.meter
        main = branches.main.greenlet
        if main is None or main.dead:
            raise RuntimeError("the thread is not waiting")
        if m.hub is not None:
            raise RuntimeError("a script cannot resume itself")
        hub = m.hub = getcurrent()
        try:
            while (branch := branches.next()) is not None:
                child = branch.greenlet
                if child is None:
                    child = branch.greenlet = greenlet(
                        partial(run_branch, m, branch.take_work())
                    )
                child.parent = hub
                outcome = enter(child)
                if outcome is GAVE_WAY:
                    continue
                if outcome is SUSPENDED or outcome is SLICED:
                    branches.interrupted = branch
                    return outcome
                if branch is branches.main or type(outcome) is Aborted:
                    branches.kill_open()
                    m.leave_all()
                    return outcome
                branches.end(branch, outcome)
            return SUSPENDED
        finally:
            m.hub = None

    def kill(self) -> None:
        """End it, from the hub.  Ending it again does nothing."""
        self._branches.kill_open()
        self._branches.kill_main()
        self.meter.leave_all()
        self.meter.part()

    def grant(self, events: int) -> None:
        """Begin an activation: a full step budget, and memory for *events* events."""
        self.meter.grant(events)

    def stack(self) -> list[Frame]:
        """Return where `main` waits, outermost first."""
        child = self._branches.main.greenlet
        return [] if child is None else live_stack(child.gr_frame)


def enter(child: greenlet) -> Outcome:
    """
    Switch to a script.

    A function of its own because a tracer, such as the one that measures coverage,
    finds its place again only at a call or a return.
    """
    outcome: Outcome = child.switch()
    return outcome


def run_program(
    program: Program, m: Meter, input_value_factory: Callable[[Meter], Any]
) -> Outcome:
    """Run a program to its end: the body of the greenlet of `main`."""
    return _contained(m, lambda: _run(program, m, input_value_factory))


def run_branch(m: Meter, work: Work) -> Outcome:
    """Run a branch to its end: the body of its greenlet."""
    return _contained(m, lambda: Returned(call(m, *work)))


def _contained(m: Meter, body: Callable[[], Outcome]) -> Outcome:
    """Return the outcome of *body*, whatever it raises."""
    try:
        return body()
    except Exception as error:
        try:
            return Failed(script_error(m, error))
        except Abort as abort:
            abort.__traceback__ = abort.__context__ = None
            return Aborted(abort)
    except Killed as killed:
        if _took_much(m):
            m.held.drop(variables(killed.__traceback__))
        # Nobody asks where it stood, and many may be dropped at once.
        killed.__traceback__ = None
        return Aborted(killed)
    except Abort as abort:
        # One that was raised in the end of main has its stack already.
        abort.stack = abort.stack or error_stack(abort.__traceback__)
        _keep_variables(m, abort)
        abort.__traceback__ = abort.__context__ = None
        return Aborted(abort)


def _keep_variables(m: Meter, error: BaseException) -> None:
    """Keep what the script holds, if it is much, from going at once."""
    if _took_much(m):
        m.remains += variables(error.__traceback__)


def _took_much(m: Meter) -> bool:
    return m.limits.max_allocated_bytes - m.bytes > WORTH


# Main, and what follows it


def _run(
    program: Program, m: Meter, input_value_factory: Callable[[Meter], Any]
) -> Outcome:
    outcome = _main(program, m, input_value_factory)
    branches = m.branches
    branches.is_ending = True
    if branches.deferred:
        outcome = _run_deferred(m, outcome)
    if type(outcome) is Returned:
        m.host.finish(m, outcome.value)
    elif type(outcome) is Restarted:
        m.host.restart(m, outcome.input)
    return outcome


def _main(
    program: Program, m: Meter, input_value_factory: Callable[[Meter], Any]
) -> Outcome:
    """Run the top level and `main`; return how that ended."""
    try:
        main = program.execute(m)
        result = main(Context(), input_value_factory(m))
        if m.branches.deferred:
            # A result that is no payload is a failure, and they must know.
            jsontext.encode(m, result, what="result")
        _look_at_branches(m)
        return Returned(result)
    except Exception as error:
        _keep_variables(m, error)
        return Failed(script_error(m, error))
    except Restarting as restarting:
        return Restarted(restarting.input)
    except Cancelled as cancelled:
        cancelled.stack = error_stack(cancelled.__traceback__)
        cancelled.__traceback__ = cancelled.__context__ = None
        return Aborted(cancelled)


def _look_at_branches(m: Meter) -> None:
    """
    Fail as the first branch that failed and that nobody has asked.

    Raises:
        EvalError: there is one.
    """
    for number in m.branches.untaken:
        m.branches.take(number)


def _run_deferred(m: Meter, outcome: Outcome) -> Outcome:
    """Run the deferred functions that are due, the last one first."""
    branches = m.branches
    dropped = branches.kill_open()
    if dropped:
        m.host.give_up(m, dropped)
    went_well = type(outcome) in (Returned, Restarted)
    due = ("always", "success" if went_well else "failure")
    while branches.deferred:
        work, on = branches.deferred.pop()
        if on not in due:
            continue
        try:
            call(m, *work)
        except Exception as error:
            failure = script_error(m, error)
            # What went wrong first is what the run tells.
            if type(outcome) in (Returned, Restarted):
                outcome = Failed(failure)
    return outcome
