"""The branches of a script: who runs, who may run, and who waits for what.

A script begins as one branch, `main`, and `flow.spawn` makes more.  They take turns: a
branch runs until it waits, then the one that has been ready for longest runs.  Who
becomes ready, and in which order, follows from the order of the answers alone, so that
a replay of the answers replays the switches.

What a branch waits for is named by a key: the version of an event, or the number of
another branch, which is negative.  A key ends once, by `hand_over`.

A branch has a greenlet of its own, with a depth of calls and with recursion flags of
its own; these live in the meter and in the globals of the files and are exchanged at
every switch.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from greenlet import getcurrent, greenlet

from starflow_service.starlark.errors import Abort, EvalError, Killed, LimitError
from starflow_service.starlark.host import Future
from starflow_service.starlark.outcomes import Failed, Outcome, Returned

if TYPE_CHECKING:
    from starflow_service.starlark.meter import Meter
    from starflow_service.starlark.program import Program

# What a branch calls: a function and its arguments.
Work: TypeAlias = tuple[Any, Sequence[Any], Mapping[str, Any]]


# What a branch takes: its stack, and the work of entering and ending it.
_BRANCH_BYTES = 10_000
_BRANCH_STEPS = 50


class Branch:
    """One line of execution of a script."""

    __slots__ = (
        "alarm",
        "arrived",
        "asked",
        "depth",
        "flags",
        "greenlet",
        "keys",
        "missing",
        "number",
        "own",
        "work",
    )

    def __init__(self, number: int, work: Work | None) -> None:
        # 0 is main; the others count down, so that no version is a branch.
        self.number = number
        self.work = work
        # None: it has not begun yet, or has ended.
        self.greenlet: greenlet | None = None
        # Keys that it waits for and that have not ended.
        self.keys: dict[int, None] = {}
        # Those that have ended since it began to look out for them, in order.
        self.arrived: list[int] = []
        # How many more must end before it is ready; 0: it does not wait.
        self.missing = 0
        # The key that makes it ready at once.
        self.alarm: int | None = None
        # Versions that nobody but this branch can wait for.
        self.own: tuple[int, ...] = ()
        # What it waits for, in words.
        self.asked = "waits"
        self.depth = 0
        self.flags: list[list[bool]] | None = None

    def take_work(self) -> Work:
        """Return what a branch is to call; it is told once."""
        work, self.work = self.work, None
        assert work is not None, "main is not begun by its work"
        return work


class Branches:
    """All branches of one run."""

    __slots__ = (
        "_meter",
        "_sequence",
        "_waiting",
        "count",
        "current",
        "deferred",
        "ended",
        "flagged",
        "interrupted",
        "is_ending",
        "left",
        "main",
        "open",
        "outcomes",
        "program",
        "ready",
        "sole_key",
        "untaken",
    )

    def __init__(self, m: "Meter") -> None:
        # None: they have all ended for good.
        self._meter: Meter | None = m
        self.program: Program | None = None
        self.main = Branch(0, None)
        # The branch whose depth and flags are in place.
        self.current = self.main
        # A branch that gave way in the middle of its slice, or without saying what it
        # waits for: it goes on before all others.
        self.interrupted: Branch | None = None
        # A list, for most scripts have one branch and an empty deque is large.
        self.ready: list[Branch] = []
        # Those that have not ended, by number, without main.
        self.open: dict[int, Branch] = {}
        self.count = 0
        # Keys that have ended: in which place.
        self.ended: dict[int, int] = {}
        self._sequence = 0
        # How branches ended, and those that failed without anybody having looked.
        self.outcomes: dict[int, Outcome] = {}
        self.untaken: dict[int, EvalError] = {}
        # Keys that only the branch which is being killed could wait for.
        self.left: list[int] = []
        # What `flow.defer` was given, oldest first: the third part says when it is due.
        self.deferred: list[tuple[Work, str]] = []
        # Whether main has returned or failed, and deferred functions may be running.
        self.is_ending = False
        self._waiting: dict[int, dict[Branch, None]] = {}
        # What main waits for without the tables, for nobody else can wait for it and
        # there is no other branch; 0: nothing.
        self.sole_key = 0
        # Globals of files, with the names of the recursion flags in them.
        self.flagged: list[tuple[dict[str, Any], tuple[str, ...]]] = []

    # Beginning and ending

    def begin(self, m: "Meter", work: Work) -> Future:
        """
        Make a branch, to be entered when the present one waits, and pay for it.

        Raises:
            LimitError: there are as many as there may be.
        """
        limit = m.limits.max_branches
        if len(self.open) >= limit:
            message = f"{limit} branches are open, the most that a run may have"
            raise LimitError("max_branches", message)
        m.charge(_BRANCH_BYTES)
        m.work(_BRANCH_STEPS)
        self.count += 1
        branch = Branch(-self.count, work)
        self.open[branch.number] = branch
        self.ready.append(branch)
        return Future(branch.number, f"branch {self.count}")

    def end(self, branch: Branch, outcome: Outcome) -> None:
        """Take how *branch*, which is not main, ended, and tell those that wait."""
        del self.open[branch.number]
        branch.greenlet = None
        self.outcomes[branch.number] = outcome
        if isinstance(outcome, Failed):
            self.untaken[branch.number] = outcome.error
        self.hand_over(branch.number)

    def kill(self, branch: Branch) -> list[int]:
        """
        End *branch* where it stands, from another one or from the hub.

        Return the versions that nobody waits for any more.
        """
        versions = list(branch.own)
        self.forget(branch)
        if branch in self.ready:
            self.ready.remove(branch)
        if self.interrupted is branch:
            self.interrupted = None
        self.open.pop(branch.number, None)
        child = branch.greenlet
        if child is not None and not child.dead:
            current = self.current
            self.switch(branch)
            child.parent = getcurrent()
            throw(child, Killed("the branch was given up"))
            assert child.dead, "something swallowed Killed"
            self.switch(current)
        branch.greenlet = None
        left, self.left = self.left, []
        for key in left:
            if key > 0:
                versions.append(key)
            elif key in self.open:
                versions += self.kill(self.open[key])
        return versions

    def kill_open(self) -> list[int]:
        """End all branches but main; return the versions that only they waited for."""
        dropped: list[int] = []
        for branch in list(self.open.values()):
            dropped += self.kill(branch)
        return dropped

    def kill_main(self) -> None:
        """End main, from the hub, if it is suspended."""
        if self.main.greenlet is not None:
            self.kill(self.main)

    def part(self) -> None:
        """Let go of the meter: no branch runs any more."""
        self._meter = None
        self.flagged.clear()

    def take(self, number: int) -> Any:
        """
        Return what the ended branch *number* returned.

        Raises:
            EvalError: what it failed with; the stack goes on in the branch.
        """
        self.untaken.pop(number, None)
        outcome = self.outcomes[number]
        if isinstance(outcome, Returned):
            return outcome.value
        assert isinstance(outcome, Failed), "a branch that aborts ends the run"
        error = EvalError(outcome.error.message, cause=outcome.error.cause)
        error.origin = outcome.error.stack
        raise error

    # Taking turns

    @property
    def is_runnable(self) -> bool:
        """Whether a branch can go on."""
        return self.interrupted is not None or bool(self.ready)

    def next(self) -> Branch | None:
        """Return the branch that runs now; None: all of them wait."""
        branch = self.interrupted
        if branch is not None:
            self.interrupted = None
        elif self.ready:
            branch = self.ready.pop(0)
        else:
            return None
        if branch is not self.current:
            self.switch(branch)
        return branch

    def switch(self, branch: Branch) -> None:
        """Put the depth and the flags of *branch* in place of the present one's."""
        before = self.current
        if before is branch:
            return
        self.current = branch
        m = self._meter
        assert m is not None, "a branch of a script that was killed"
        before.depth, m.depth = m.depth, branch.depth
        if self.flagged:
            before.flags = [
                [variables[name] for name in names] for variables, names in self.flagged
            ]
            self._set_flags(branch.flags)

    def _set_flags(self, flags: list[list[bool]] | None) -> None:
        for place, (variables, names) in enumerate(self.flagged):
            for number, name in enumerate(names):
                # A branch that has just begun is in no function.
                variables[name] = flags is not None and flags[place][number]

    # Waiting

    def watch(self, keys: Iterable[int]) -> None:
        """Let the present branch look out for the ends of *keys*."""
        me = self.current
        for key in keys:
            me.keys[key] = None
            waiting = self._waiting.get(key)
            if waiting is None:
                self._waiting[key] = {me: None}
            else:
                waiting[me] = None

    def block(self, missing: int, asked: str) -> None:
        """Let the present branch wait until so many more of its keys have ended."""
        self.current.missing = missing
        self.current.asked = asked

    def forget(self, branch: Branch) -> None:
        """Let *branch* look out for nothing any more."""
        if branch.keys:
            for key in branch.keys:
                waiting = self._waiting[key]
                del waiting[branch]
                if not waiting:
                    del self._waiting[key]
            branch.keys.clear()
        branch.arrived.clear()
        branch.missing = 0
        branch.alarm = None
        branch.own = ()
        branch.asked = "waits"
        if branch is self.main:
            self.sole_key = 0

    def hand_over(self, key: int) -> None:
        """A key has ended: those that wait for it may go on, in their order."""
        if key == self.sole_key:
            self.sole_key = 0
            self.ready.append(self.main)
            return
        self._sequence += 1
        self.ended[key] = self._sequence
        waiting = self._waiting.pop(key, None)
        if waiting is None:
            return
        for branch in waiting:
            del branch.keys[key]
            branch.arrived.append(key)
            if branch.missing:
                branch.missing -= 1
                if branch.missing == 0 or key == branch.alarm:
                    branch.missing = 0
                    self.ready.append(branch)

    def rouse_main(self) -> None:
        """Make main ready although nothing that it waits for has ended."""
        self.main.missing = 0
        self.ready.append(self.main)


def throw(child: greenlet, error: Abort) -> None:
    """
    Raise *error* where a branch waits.

    A function of its own because a tracer, such as the one that measures coverage,
    finds its place again only at a call or a return.
    """
    child.throw(error)
