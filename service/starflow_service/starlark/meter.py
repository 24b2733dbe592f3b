"""What a script may use, and the way out of its greenlet.

Two counters are kept.  `steps` bounds time: it is what is left of the present slice,
and `remaining` is what the activation has left after it.  `bytes` bounds memory: it is
what is left of a budget that only ever shrinks while the script runs, whether or not
the memory was given back, because that alone can be checked without looking at the
heap.

Steps are not time: what one takes differs by a hundred, by what it does.  Whoever
drives the script has a clock.  It sets `slice_steps` so that slices take the time that
they should, and `is_out_of_time` when an activation has had all that it may.

Compiled code takes its steps from `steps` in place and looks at the sign at loop heads
and function entries, so both counters may be below zero for a moment.  Whoever
allocates in proportion to a script's data calls `charge` first; whoever works in
proportion to it without allocating calls `work`.
"""

from inspect import currentframe
from typing import TYPE_CHECKING, Any

from greenlet import greenlet

from starflow_service.starlark.branches import Branches
from starflow_service.starlark.errors import Frame, LimitError
from starflow_service.starlark.outcomes import GAVE_WAY, SLICED, SUSPENDED, Outcome
from starflow_service.starlark.remains import WORTH, Held
from starflow_service.starlark.trace import live_stack

if TYPE_CHECKING:
    from starflow_service.starlark.host import Host
    from starflow_service.starlark.limits import Limits


class Meter:
    """
    The budget of one run's interpreter, and its door to the hub.

    A meter without a hub (outside a `Thread`) renews its own slices, so that values can
    be built and helpers be tested without a greenlet.
    """

    __slots__ = (
        "_held",
        "activations",
        "branches",
        "bytes",
        "depth",
        "globals",
        "host",
        "hub",
        "is_out_of_time",
        "limits",
        "look_below",
        "printed",
        "remaining",
        "remains",
        "slice_steps",
        "steps",
    )

    def __init__(self, host: "Host", limits: "Limits") -> None:
        self.host = host
        self.limits = limits
        # The greenlet that runs the event loop; the thread sets it at each entry.
        self.hub: greenlet | None = None
        self.bytes = limits.max_allocated_bytes
        self.depth = 0  # calls under way, where the program counts them
        # Those of the files that were executed; they refer to the meter.
        self.globals: list[dict[str, Any]] = []
        self.printed = 0  # UTF-8 bytes that the script has printed
        self.remaining = limits.max_steps
        self.slice_steps = limits.slice_steps
        self.steps = 0
        # What the script had when it ended; see `Remains`.
        self.remains: list[Any] = []
        # What it may drop while it runs, and the `bytes` at which to look at it again.
        self._held: Held | None = None
        self.look_below = self.bytes - WORTH
        self.activations = 1
        self.is_out_of_time = False
        self.branches = Branches(self)
        self.begin_slice()

    @property
    def held(self) -> Held:
        """What the script may drop while it runs; made for few of them."""
        if self._held is None:
            self._held = Held()
        return self._held

    def leave_all(self) -> None:
        """Add what is held to what the script had when it ended."""
        if self._held is not None:
            self.remains += self._held.take_all()

    def part(self) -> None:
        """
        Let go of what refers to it: nothing of the script runs any more.

        Then nearly all of an interpreter dies by its count, and thousands of them that
        leave at once do not wait for the collector.
        """
        for variables in self.globals:
            # Its functions refer to them, and they to its functions.
            variables.clear()
        self.globals.clear()
        self.branches.part()

    def charge(self, n: int) -> None:
        """
        Pay for *n* bytes that are about to be allocated, and for filling them.

        Raises:
            LimitError: the allocation budget or the step budget is spent.
        """
        self.bytes -= n
        self.steps -= n >> 7
        if self.bytes < 0 or self.steps < 0:
            self.tick()

    def work(self, n: int) -> None:
        """
        Pay for *n* steps of native work, each about as long as a loop's round.

        Raises:
            LimitError: the step budget is spent.
        """
        self.steps -= n
        if self.steps < 0:
            self.tick()

    def linger(self, n: int) -> None:
        """
        Let the slice end *n* steps sooner; the activation loses none.

        Raises:
            LimitError: a budget is spent.
        """
        self.remaining += n
        self.work(n)

    def tick(self) -> None:
        """
        End the slice: check the budgets and let the hub do other things.

        Raises:
            LimitError: a budget is spent.
        """
        self.check()
        if self.steps >= 0:
            return
        self.remaining += self.steps  # the slice was overdrawn by the last charge
        self.steps = 0
        if self.remaining <= 0:
            limit = self.limits.max_steps
            raise LimitError("max_steps", f"script took more than {limit} steps")
        if self.hub is not None:
            self._tidy()
            leave(self.hub, SLICED)
        if self.is_out_of_time:
            seconds = self.limits.max_cpu_time_ns / 1e9
            message = f"script used more than {seconds:g} s of CPU time"
            raise LimitError("max_cpu_time", message)
        self.begin_slice()

    def check(self) -> None:
        """
        Look at the allocation budget, which blocks of code draw on without a check.

        Raises:
            LimitError: it is spent.
        """
        if self.bytes < 0:
            raise LimitError(
                "max_allocated_bytes",
                "script allocated more memory than its budget of "
                f"{self.limits.max_allocated_bytes} bytes plus "
                f"{self.limits.bytes_per_event} for each event",
            )

    def suspend(self) -> None:
        """
        Hand control to the hub until the thread is resumed.

        Raises:
            RuntimeError: no thread is running on this meter.
        """
        if self.hub is None:
            raise RuntimeError("no script is running on this meter")
        self.check()
        leave(self.hub, SUSPENDED)
        self.begin_slice()

    def give_way(self) -> None:
        """
        Let other branches run until this one is ready; the slice goes on.

        Raises:
            RuntimeError: no thread is running on this meter.
        """
        if self.hub is None:
            raise RuntimeError("no script is running on this meter")
        if self.bytes < 0:
            self.check()
        leave(self.hub, GAVE_WAY)

    def begin_slice(self) -> None:
        """Begin a slice.  An empty budget shows at the next tick."""
        left = self.remaining + self.steps
        steps = self.slice_steps
        if steps > left:
            steps = left
        self.steps = steps
        self.remaining = left - steps

    def succeed(self, before: "Meter", steps: int) -> None:
        """Go on in the activation of another meter, after so many steps more."""
        self.slice_steps = before.slice_steps
        self.activations = before.activations
        self.is_out_of_time = before.is_out_of_time
        if before.remains:
            self.held.drop(before.remains)
        self.remaining = before.remaining + before.steps - steps
        self.steps = 0
        self.begin_slice()

    def grant(self, events: int) -> None:
        """Begin an activation: a full step budget, and memory for *events* events."""
        limits = self.limits
        more = events * limits.bytes_per_event
        self.bytes += more
        self.look_below += more
        self.activations += 1
        # What is left of the slice stays: a replay is thousands of activations without
        # a wait between them, and must be sliced as well.
        most = limits.max_steps
        if self.steps > most:
            self.steps = most
        self.remaining = most - self.steps

    def stack(self) -> list[Frame]:
        """Return the script's stack right now, outermost first."""
        return live_stack(currentframe())

    def _tidy(self) -> None:
        """Give back some of what the script has dropped."""
        if self.bytes < self.look_below:
            self.look_below = self.bytes - WORTH
            self.held.look(currentframe())
        if self._held is not None:
            self._held.give_back()


def leave(hub: greenlet, outcome: Outcome) -> None:
    """
    Switch to the hub.

    A function of its own because a tracer, such as the one that measures coverage,
    finds its place again only at a call or a return.
    """
    hub.switch(outcome)
