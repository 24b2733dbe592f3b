"""What the engine does for a script: each durable operation, recorded or met again.

What decides anything here is what the script has seen: `_open` is what it waits for.
The history may be ahead of it, because the world writes while a script computes.
"""

from collections.abc import Callable, Sequence
from typing import Any

from starflow_service.engine import steps
from starflow_service.engine.beginning import record_start
from starflow_service.engine.events import (
    Call,
    Drop,
    Failure,
    Finish,
    RandInt,
    Restart,
    Result,
    Resume,
    Return,
    Signal,
    Sleep,
    Status,
    TimeNow,
    Wait,
    Wake,
)
from starflow_service.engine.frozen import frozen
from starflow_service.engine.ledger import Answer, Arrival, LoneWake
from starflow_service.engine.stamps import format_rfc3339
from starflow_service.engine.tape import Tape
from starflow_service.starlark import jsontext
from starflow_service.starlark.errors import Cancelled, EvalError, LimitError
from starflow_service.starlark.host import CallOptions, Fault, Future
from starflow_service.starlark.limits import Limits
from starflow_service.starlark.meter import Meter
from starflow_service.starlark.outcomes import Failed
from starflow_service.starlark.seeded import SeededStream
from starflow_service.starlark.syntax import Pos
from starflow_service.starlark.trace import innermost


@frozen
class Print:
    """A line that a script printed, and where; see `trace.innermost`."""

    text: str
    filename: str
    pos: Pos


class RunHost:
    """
    The host of one segment of a run: from START to its end, or to RESTART.

    It belongs to the meter that it is bound to.
    """

    __slots__ = (
        "_branches",
        "_calls",
        "_has_heard",
        "_history",
        "_interruption",
        "_is_cancelled",
        "_ledger",
        "_limits",
        "_meter",
        "_open",
        "_results",
        "_stream",
        "_tape",
        "lines",
        "old_lines",
        "prints",
    )

    def __init__(self, tape: Tape, limits: Limits) -> None:
        # How many lines the script has printed.
        self.lines = 0
        # How many of them were handed out before; None: all, until something is new.
        self.old_lines: int | None = 0
        # Lines printed for the first time.
        self.prints: list[Print] = []
        self._tape = tape
        self._ledger = tape.ledger
        self._history = tape.history
        self._limits = limits
        # Results that came for calls and waits.
        self._results: dict[int, Result] = {}
        # Versions of what the script began and has not seen end; those that are calls.
        self._open: set[int] = set()
        self._calls: set[int] = set()
        # Whether a CANCEL has come, and whether `main` has heard of it.
        self._is_cancelled = False
        self._has_heard = False
        # What main is to fail with, although what it waits for has not ended.
        self._interruption: EvalError | Cancelled | None = None
        # Made when the script first draws from it.
        self._stream: SeededStream | None = None

    def bind(self, m: Meter) -> None:
        """Take the meter of the script, and the answers of the tape."""
        self._meter: Meter | None = m
        self._branches = m.branches
        self._tape.hand_over = self._hand_over

    def part(self) -> None:
        """Let go of them: nothing of the script runs any more."""
        self._meter = None
        self._tape.hand_over = _to_nobody

    # From the hub

    def stir(self) -> bool:
        """Let things happen until a branch can go on; False: nothing happens now."""
        branches, tape = self._branches, self._tape
        while not branches.ready:
            # The cheap half of the question comes first.
            if (self._is_cancelled or not self._open) and self._is_interruptible():
                self._interrupt()
            elif not tape.advance(branches.main.asked):
                return False
        return True

    def _is_interruptible(self) -> bool:
        """Whether main must go on without what it waits for."""
        return not self._open or (self._is_cancelled and self._must_hear())

    def _must_hear(self) -> bool:
        """Whether main is to be told of a CANCEL, which its end does not care about."""
        return (
            self._is_cancelled and not self._has_heard and not self._branches.is_ending
        )

    def _interrupt(self) -> None:
        if self._must_hear():
            self._has_heard = True
            self._interruption = self._cancelled()
        else:
            message = "deadlock: all branches wait for each other"
            self._interruption = EvalError(message)
        self._branches.rouse_main()

    def _cancelled(self) -> Cancelled:
        cancel = self._history.cancel
        return Cancelled("" if cancel is None else cancel.reason)

    # Host: calls.  What follows runs on the greenlet of the branch that asks.

    def call(
        self, m: Meter, function: str, req: Any, options: CallOptions | None = None
    ) -> Any:
        """See `Host.call`."""
        version = self._begin_call(m, function, req, options)
        self._wait_own(m, version, f"waits for {function} (event {version})")
        return self._value(m, self._results.pop(version))

    def start(
        self, m: Meter, function: str, req: Any, options: CallOptions | None = None
    ) -> Future:
        """See `Host.start`."""
        return Future(self._begin_call(m, function, req, options), function)

    def room(self, m: Meter) -> int:
        """See `Host.room`."""
        return self._limits.max_open_calls - len(self._calls)

    def _begin_call(
        self, m: Meter, function: str, req: Any, options: CallOptions | None
    ) -> int:
        text = jsontext.encode(m, req, what="req")
        recorded = self._tape.step(Call, f"calls {function}")
        if recorded is None:
            limit = self._limits.max_open_calls
            if len(self._calls) >= limit:
                raise LimitError(
                    "max_open_calls",
                    f"{limit} calls are open, the most that a run may have",
                )
            version, now = self._ledger.next()
            sources = self._ledger.sources
            signal_id = f"{version}-{sources.nonce()}"
            terms = steps.call_terms(now, options, sources.call_timeout_ns(function))
            self._tape.record(Call(version, now, function, text, signal_id, *terms))
        else:
            difference = steps.call_difference(recorded, function, text)
            if difference:
                raise self._tape.mismatch(recorded, difference)
            self._tape.consume(recorded)
            version = recorded.version
        self._open.add(version)
        self._calls.add(version)
        return version

    # Host: waiting

    def wait(
        self, m: Meter, futures: Sequence[Future], timeout_ns: int | None = None
    ) -> list[Any]:
        """See `Host.wait`."""
        ended = self._branches.ended
        keys = dict.fromkeys(f.key for f in futures if f.key not in ended)
        if keys:
            alarm = None if timeout_ns is None else self._begin_timer(m, timeout_ns)
            asked = _waits_for(futures, next(iter(keys)))
            own = () if alarm is None else (alarm,)
            self._wait_for(m, tuple(keys), asked, own=own, alarm=alarm)
            if alarm in self._open:
                self._drop((alarm,))
            if timeout_ns is not None and any(key not in ended for key in keys):
                late = sum(key not in ended for key in keys)
                raise _error(steps.timeout(f"{late} of {len(futures)} are not done"))
        return [self.value(m, future) for future in futures]

    def first(self, m: Meter, futures: Sequence[Future]) -> int:
        """See `Host.first`."""
        ended = self._branches.ended
        keys = [future.key for future in futures]
        winner = min(
            (key for key in keys if key in ended), key=ended.__getitem__, default=None
        )
        if winner is None:
            me = self._branches.current
            self._branches.watch(keys)
            self._wait(m, 1, _waits_for(futures, keys[0]))
            winner = me.arrived[0]
            self._branches.forget(me)
        return keys.index(winner)

    def next_ended(self, m: Meter) -> list[int]:
        """See `Host.next_ended`."""
        me = self._branches.current
        if not me.arrived:
            key = next(iter(me.keys))
            self._wait(m, 1, f"waits for what it began (event {key})")
        arrived, me.arrived = me.arrived, []
        return arrived

    def value(self, m: Meter, future: Future) -> Any:
        """See `Host.value`."""
        if future.key < 0:
            return self._branches.take(future.key)
        return self._value(m, self._results[future.key])

    def _value(self, m: Meter, result: Result) -> Any:
        if isinstance(result, Failure):
            raise _error(result)
        return jsontext.decode(m, result)

    def _wait_own(self, m: Meter, version: int, asked: str) -> None:
        """Wait until the end of what nobody but this branch can wait for."""
        branches = self._branches
        if branches.open:
            self._wait_for(m, (version,), asked, own=(version,))
            del branches.ended[version]
            return
        # Main is alone, and waits without the tables.
        branches.sole_key = version
        advance = self._tape.advance
        while branches.sole_key:
            if (self._is_cancelled and self._must_hear()) or not advance(asked):
                branches.main.asked = asked
                m.give_way()
                if self._interruption is not None:
                    self._raise_interruption()
                return
        branches.ready.clear()

    def _wait_for(
        self,
        m: Meter,
        keys: tuple[int, ...],
        asked: str,
        *,
        own: tuple[int, ...] = (),
        alarm: int | None = None,
    ) -> None:
        """Wait until all *keys* have ended, or *alarm* has."""
        branches = self._branches
        is_alone = alarm is None and not branches.open
        if is_alone and self._take_alone(keys, asked):
            return
        missing = sum(key not in branches.ended for key in keys)
        if not missing:
            return
        me = branches.current
        branches.watch(keys)
        me.own = own
        if alarm is not None:
            branches.watch((alarm,))
            me.alarm = alarm
        self._wait(m, missing, asked, is_done=is_alone)
        branches.forget(me)

    def _take_alone(self, keys: tuple[int, ...], asked: str) -> bool:
        """
        Take answers for a script of one branch until all *keys* have ended.

        It comes to the same as waiting, without the tables; False: they have not.
        """
        ended = self._branches.ended
        for key in keys:
            while key not in ended:
                if self._is_interruptible() or not self._tape.advance(asked):
                    return False
        return True

    def _wait(
        self, m: Meter, missing: int, asked: str, *, is_done: bool = False
    ) -> None:
        """
        Wait until so many of the keys that the branch watches have ended.

        *is_done* says that all answers that are there have been taken.
        """
        branches = self._branches
        branches.block(missing, asked)
        ready = branches.ready
        me = branches.current
        # As long as nobody else can run, there is no need to leave.
        while not ready:
            if is_done or self._is_interruptible() or not self._tape.advance(asked):
                break
        else:
            if ready[0] is me:
                del ready[0]
                return
        m.give_way()
        if me is branches.main and self._interruption is not None:
            self._raise_interruption()

    def _raise_interruption(self) -> None:
        interruption, self._interruption = self._interruption, None
        assert interruption is not None
        self._branches.forget(self._branches.main)
        if isinstance(interruption, Cancelled):
            self._branches.kill_open()
            if self._open:
                self._drop(sorted(self._open))
        raise interruption

    # Host: giving up

    def drop(self, m: Meter, futures: Sequence[Future]) -> None:
        """See `Host.drop`."""
        branches = self._branches
        versions: set[int] = set()
        killed: list[Future] = []
        for future in futures:
            if future.key in self._open:
                versions.add(future.key)
            branch = branches.open.get(future.key)
            if branch is not None and branch is not branches.current:
                versions.update(branches.kill(branch))
                killed.append(future)
        self.give_up(m, sorted(versions))
        for future in killed:
            branches.outcomes[future.key] = Failed(_error(steps.given_up(future.name)))
            branches.hand_over(future.key)

    def give_up(self, m: Meter, versions: Sequence[int]) -> None:
        """See `Host.give_up`."""
        if any(version in self._open for version in versions):
            self._drop(versions)

    def _drop(self, versions: Sequence[int]) -> None:
        recorded = self._tape.step(Drop, f"gives up {_listed(versions)}")
        # Some may have ended just before.
        dropped = tuple(v for v in versions if v in self._open)
        if recorded is None:
            self._tape.record(Drop(*self._ledger.next(), dropped))
        elif recorded.dropped_versions != dropped:
            asked = f"gives up {_listed(dropped)}"
            raise self._tape.mismatch(recorded, asked)
        else:
            self._tape.consume(recorded)
        for version in dropped:
            if version in self._calls:
                self._results[version] = steps.given_up(f"call {version}")
            self._see_end(version)

    # Host: signals and time

    def wait_signal(
        self, m: Meter, name: str, timeout_ns: int | None
    ) -> tuple[bool, Any]:
        """See `Host.wait_signal`."""
        recorded = self._tape.step(Wait, f"waits for signal {name}")
        kept = self._history.next_unread(name)
        if recorded is None:
            version, now = self._ledger.next()
            expire_ns = None if timeout_ns is None else now + timeout_ns
            self._tape.record(Wait(version, now, name, expire_ns))
        elif recorded.name != name:
            raise self._tape.mismatch(recorded, f"waits for signal {name}")
        else:
            version = recorded.version
            self._tape.consume(recorded)
        if kept is not None:
            return True, self._value(m, kept.result)
        self._open.add(version)
        self._wait_own(m, version, f"waits for signal {name} (event {version})")
        if version not in self._results:
            return False, None
        return True, self._value(m, self._results.pop(version))

    def sleep(self, m: Meter, duration_ns: int) -> None:
        """See `Host.sleep`."""
        self._sleep(m, lambda now: now + duration_ns)

    def sleep_until(self, m: Meter, wake_ns: int) -> None:
        """See `Host.sleep_until`."""
        self._sleep(m, lambda now: max(now, wake_ns))

    def _sleep(self, m: Meter, wake: Callable[[int], int]) -> None:
        # Beside other branches the next step proves nothing: it may be another's.
        version = self._begin_sleep(m, wake, explicit_wake=bool(self._branches.open))
        self._wait_own(m, version, f"sleeps (event {version})")

    def _begin_timer(self, m: Meter, duration_ns: int) -> int:
        return self._begin_sleep(m, lambda now: now + duration_ns, explicit_wake=True)

    def _begin_sleep(
        self, m: Meter, wake: Callable[[int], int], *, explicit_wake: bool
    ) -> int:
        recorded = self._tape.step(Sleep, "sleeps")
        if recorded is None:
            version, now = self._ledger.next()
            wake_ns = wake(now)
            limit = self._limits.max_sleep_ns
            if wake_ns - now > limit:
                # Only a limit may depend on the clock: no script can hold it, so no log
                # depends on it.
                raise LimitError(
                    "max_sleep_ns", f"a sleep of more than {limit // 10**9} seconds"
                )
            self._tape.record(Sleep(version, now, wake_ns, explicit_wake))
        elif recorded.explicit_wake is not explicit_wake:
            asked = "sets a timer" if explicit_wake else "sleeps without branches"
            raise self._tape.mismatch(recorded, asked)
        else:
            version = recorded.version
            self._tape.consume(recorded)
        self._open.add(version)
        return version

    def now(self, m: Meter) -> str:
        """See `Host.now`."""
        return format_rfc3339(self.now_ns(m))

    def now_ns(self, m: Meter) -> int:
        """See `Host.now_ns`."""
        recorded = self._tape.step(TimeNow, "reads the time")
        if recorded is None:
            version, value = self._ledger.next()
            self._tape.record(TimeNow(version, value, value))
            return value
        self._tape.consume(recorded)
        return recorded.value_ns

    # Host: chance, words, errors

    def rand_int(self, m: Meter, limit: int) -> int:
        """See `Host.rand_int`."""
        recorded = self._tape.step(RandInt, "draws a random number")
        if recorded is None:
            value = self._ledger.sources.rand_below(limit)
            self._tape.record(RandInt(*self._ledger.next(), value))
        else:
            value = recorded.value
            if not 0 <= value < limit:
                asked = f"draws a number below {limit}"
                raise self._tape.mismatch(recorded, asked)
            self._tape.consume(recorded)
        return value

    def random_bytes(self, m: Meter, n: int) -> bytes:
        """See `Host.random_bytes`."""
        if self._stream is None:
            start = self._history.start
            assert start is not None, "a script runs after START"
            self._stream = SeededStream(start.seed)
        return self._stream.take(n)

    def print(self, m: Meter, text: str) -> None:
        """See `Host.print`."""
        self.lines += 1
        if self.old_lines is None:
            if not self._tape.is_live:
                return
        elif self.lines <= self.old_lines:
            return
        self.prints.append(Print(text, *innermost()))

    def set_status(self, m: Meter, status: str) -> None:
        """See `Host.set_status`."""
        recorded = self._tape.step(Status, "sets its status")
        if recorded is None:
            self._tape.record(Status(*self._ledger.next(), status))
        else:
            self._tape.consume(recorded)

    def timed_out(self, m: Meter, message: str) -> EvalError:
        """See `Host.timed_out`."""
        return _error(steps.timeout(message))

    def fault(self, m: Meter, error: EvalError) -> Fault:
        """See `Host.fault`."""
        return steps.fault_of(error)

    # What comes from outside

    def _hand_over(self, arrival: Arrival) -> None:
        """Put an answer of the world where the script will find it."""
        meter = self._meter
        assert meter is not None, "an answer for a script that was killed"
        meter.grant(1)
        match arrival:
            case Return() | Resume():
                version = arrival.call_version
                self._results[version] = arrival.result
                self._see_end(version)
            case Wake() | LoneWake():
                self._see_end(arrival.sleep_version)
            case Answer():
                self._results[arrival.wait_version] = arrival.result
                self._see_end(arrival.wait_version)
            case _:
                self._is_cancelled = True

    def _see_end(self, version: int) -> None:
        self._open.discard(version)
        self._calls.discard(version)
        self._branches.hand_over(version)

    # The end

    def finish(self, m: Meter, value: Any) -> None:
        """See `Host.finish`."""
        self.end(jsontext.encode(m, value, what="result"))

    def restart(self, m: Meter, input: str) -> None:
        """See `Host.restart`."""
        # The step is sure, but not which it is: RESTART, or the end of a cancelled run.
        self._tape.catch_up()
        if self._is_cancelled:
            raise self._cancelled()
        start = self._history.start
        assert start is not None, "a script runs after START"
        recorded = self._tape.step(Restart, "begins again")
        if recorded is None:
            self._tape.record_end(Restart(*self._ledger.next(), input))
        elif not jsontext.equal(recorded.input, input):
            raise self._tape.mismatch(recorded, "begins again with another input")
        else:
            self._tape.consume(recorded)
        record_start(self._tape, start.script_hash, input, start.labels, start.headers)
        carried, self._history.carried = self._history.carried, []
        for old in carried:
            version, now = self._ledger.next()
            self._tape.record_end(
                Signal(version, now, "", old.result, old.name, old.request_id)
            )

    def end(self, result: Result) -> None:
        """
        Record how the run ended.

        Raises:
            ReplayMismatch: The log holds another end, or another step.
        """
        recorded = self._tape.step(Finish, "ends")
        if recorded is None:
            # Over `max_events` or not: the end is always recorded.
            self._tape.record_end(Finish(*self._ledger.next(), result))
            return
        difference = steps.finish_difference(recorded, result)
        if difference:
            raise self._tape.mismatch(recorded, difference)
        self._tape.consume(recorded)


def _to_nobody(arrival: Arrival) -> None:
    raise AssertionError(f"{arrival} is for a script that was killed")


def _error(failure: Failure) -> EvalError:
    return EvalError(f"{failure.code}: {failure.message}", cause=failure)


def _waits_for(futures: Sequence[Future], key: int) -> str:
    name = next(future.name for future in futures if future.key == key)
    return f"waits for {name}" + (f" (event {key})" if key > 0 else "")


def _listed(versions: Sequence[int]) -> str:
    return "events " + ", ".join(map(str, versions))
