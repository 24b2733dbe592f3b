"""One queue with limits, as this server knows it: whose turn it is, and what is said.

A call of such a queue waits here until the store gives it a permit, and only then goes
to where workers take calls from.  What must be said to the store is collected and said
in one request at a time: a permit given back and the next one asked for are one step.

A permit is kept as long as its lease is renewed.  It is given back when the worker says
that it is done, or else when the lease has ended: until then the worker may be at it,
although somebody else may have the call by then.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping

from starflow_backends.store import PermitAnswer, PermitRequest, QueueState
from starflow_service.runtime.pending import PendingCall
from starflow_service.runtime.queues import QueueName

# So many permits are asked for, and so many put off, in one request.
_WANTED_MAX = 256
_KEPT_MAX = 1_000


class LimitedQueue:
    """The calls of one queue that wait here, and the permits of those that do not."""

    def __init__(self, namespace: str, name: str) -> None:
        self.namespace = namespace
        self.name = name
        # As the store said last; None: it has not, or does not know the queue.
        self.state: QueueState | None = None
        # By the monotonic clock.
        self.state_at = 0.0
        # What is wrong with it in the store; its calls wait until it is set again.
        self.damage = ""
        self._waiting: dict[QueueName, deque[PendingCall]] = {}
        # Holders of permits: with a call that no worker has taken yet, since when; with
        # a leased one; and with a lease that was lost, and ends then.
        self._granted: dict[str, tuple[PendingCall, float]] = {}
        self._held: dict[str, PendingCall] = {}
        self._fading: dict[str, float] = {}
        # What is to be said to the store.  Dicts, for their order.
        self._ended: dict[str, None] = {}
        self._unused: dict[str, None] = {}
        self._unkept: dict[str, None] = {}

    @property
    def key(self) -> str:
        """Its name in the store."""
        return f"{self.namespace}/{self.name}"

    # Calls wait

    def put(self, call: PendingCall) -> None:
        """Let *call* wait; one that comes back keeps its place in time."""
        calls = self._waiting.setdefault(call.queue, deque())
        if calls and calls[-1].order > call.order:
            calls.appendleft(call)
        else:
            calls.append(call)
        call.is_queued = True

    def waiting_calls(self) -> Iterator[PendingCall]:
        """Yield the calls that wait, those of one function oldest first."""
        for calls in self._waiting.values():
            yield from (call for call in calls if call.is_offered)

    def has_granted(self, call: PendingCall) -> bool:
        """Whether a worker may take *call*."""
        return call.permit is not None and holder_of(call) in self._granted

    def problem(self, now: float) -> str:
        """Say which limit is reached; empty if none is known to be."""
        state = self.state
        if self.damage or state is None:
            return self.damage
        bound, rate = state.limits.max_in_flight, state.limits.rate
        if bound is not None and state.in_flight >= bound:
            return (
                f"queue {self.name} is at its limit:"
                f" {state.in_flight} of {bound} in flight"
            )
        if rate is not None:
            come = (now - self.state_at) * 1e6 * rate.tokens / rate.period_us
            if state.tokens + come < 1:
                span = f"{rate.period_us / 1e6:g} s"
                return f"queue {self.name} is at its limit: {rate.tokens} in {span}"
        return ""

    def has(self, name: QueueName) -> bool:
        """Whether a call of the function waits."""
        return self._head(name) is not None

    def names(self) -> list[QueueName]:
        """Return the functions of which calls wait."""
        return [name for name in list(self._waiting) if self.has(name)]

    def withdraw(self) -> list[PendingCall]:
        """Return all waiting calls, which wait here no more."""
        calls = [
            call
            for waiting in self._waiting.values()
            for call in waiting
            if call.is_offered
        ]
        self._waiting.clear()
        return calls

    def _head(self, name: QueueName) -> PendingCall | None:
        calls = self._waiting.get(name)
        if calls is None:
            return None
        while calls and not calls[0].is_offered:
            calls.popleft().is_queued = False
        if calls:
            return calls[0]
        del self._waiting[name]
        return None

    def choose(
        self, room: Mapping[QueueName, int], *, is_full: bool
    ) -> list[PendingCall]:
        """
        Return those whose turn it is, oldest first, as many as workers have room.

        Of a queue that *is_full* there is hope for as many as are given back now, and
        for one more, which tells whether there was more hope.
        """
        most = _WANTED_MAX
        if is_full:
            most = min(most, 1 + len(self._ended) + len(self._unused))
        left = dict(room)
        for call, _ in self._granted.values():
            if call.queue in left:
                left[call.queue] -= 1
        chosen: list[PendingCall] = []
        heads = {n: h for n, free in left.items() if free > 0 and (h := self._head(n))}
        while heads and len(chosen) < most:
            name = min(heads, key=lambda n: heads[n].order)
            chosen.append(self._waiting[name].popleft())
            left[name] -= 1
            head = self._head(name) if left[name] else None
            if head is None:
                del heads[name]
            else:
                heads[name] = head
        return chosen

    # What is said to the store

    def has_news(self) -> bool:
        """Whether something is to be said to the store."""
        return bool(self._ended or self._unused or self._unkept)

    def keep_all(self) -> None:
        """Put off the ends of all permits whose leases are renewed."""
        self._unkept.update(dict.fromkeys(self._held))

    def request(self, chosen: Iterable[PendingCall], lasts_ms: int) -> PermitRequest:
        """Return what is to be said now; `answered` or `failed` comes after it."""
        kept = list(self._unkept)[:_KEPT_MAX]
        for holder in kept:
            del self._unkept[holder]
        return PermitRequest(
            self.key,
            lasts_ms,
            ended=list(self._ended),
            unused=list(self._unused),
            kept=kept,
            wanted=[holder_of(call) for call in chosen],
        )

    def answered(
        self,
        request: PermitRequest,
        answer: PermitAnswer,
        chosen: list[PendingCall],
        now: float,
    ) -> list[PendingCall]:
        """Take what the store said; return the calls that have a permit."""
        for said, holders in (
            (self._ended, request.ended),
            (self._unused, request.unused),
        ):
            for holder in holders:
                said.pop(holder, None)
        self.state, self.state_at = answer.state, now
        for call in chosen[answer.granted :]:
            call.permit = None
        self._go_on_waiting(chosen[answer.granted :])
        granted = []
        given = zip(chosen, request.wanted[: answer.granted], strict=False)
        for call, holder in given:
            if self._is_ours(call) and call.permit is not None:
                self._granted[holder] = (call, now)
                granted.append(call)
            else:
                # It has ended meanwhile, or whoever had it before showed himself.
                call.is_queued = False
                call.permit = None
                self._unused[holder] = None
        return granted

    def failed(self, request: PermitRequest, chosen: list[PendingCall]) -> None:
        """The store did not answer: all of it is said again."""
        self._unkept.update((h, None) for h in request.kept if h in self._held)
        for call, holder in zip(chosen, request.wanted, strict=True):
            # Those that go on waiting ask for the permit that they may have by now.
            if call.permit is None or not self._is_ours(call):
                self._unused[holder] = None
        self._go_on_waiting(chosen)

    def _is_ours(self, call: PendingCall) -> bool:
        return call.is_offered and call.limited is self

    def _go_on_waiting(self, calls: list[PendingCall]) -> None:
        for call in reversed(calls):
            if self._is_ours(call):
                self._waiting.setdefault(call.queue, deque()).appendleft(call)
            else:
                call.is_queued = False
                call.permit = None

    # Permits of tasks

    def lease_began(self, call: PendingCall, delivery: str) -> str:
        """
        A worker has the task: by the permit it was given, or by one from before.

        Return its holder.
        """
        holder = f"{call.run}/{call.call.version}/{delivery}"
        if call.permit is not None and holder_of(call) != holder:
            self.drop(call)
        call.permit = None
        if self._granted.pop(holder, None) is None:
            self._unkept[holder] = None
        self._fading.pop(holder, None)
        self._ended.pop(holder, None)
        self._held[holder] = call
        return holder

    def lease_ended(self, holder: str, ends_at: float) -> None:
        """Nobody renews the lease any more; the worker may still believe in it."""
        if self._held.pop(holder, None) is not None:
            self._unkept.pop(holder, None)
            self._fading[holder] = ends_at

    def done(self, holder: str) -> None:
        """The worker is done with the task, however it ended."""
        self._held.pop(holder, None)
        self._fading.pop(holder, None)
        self._unkept.pop(holder, None)
        self._ended[holder] = None

    def drop(self, call: PendingCall) -> None:
        """Nobody will take a call that was given a permit."""
        if call.permit is not None:
            holder = holder_of(call)
            call.permit = None
            self._granted.pop(holder, None)
            # It may have one, even if the store has not said so.
            self._unused[holder] = None

    def forget(self, holders: Iterable[str]) -> None:
        """Leave these permits to another server."""
        for holder in holders:
            self._held.pop(holder, None)
            self._fading.pop(holder, None)
            self._unkept.pop(holder, None)

    def faded(self, call: PendingCall) -> list[str]:
        """Return the holders of permits whose leases were lost with tasks of *call*."""
        start = f"{call.run}/{call.call.version}/"
        return [holder for holder in self._fading if holder.startswith(start)]

    def end_faded(self, now: float) -> list[str]:
        """Give back the permits whose leases have ended; return their holders."""
        faded = [h for h, ends_at in self._fading.items() if ends_at <= now]
        for holder in faded:
            del self._fading[holder]
            self._ended[holder] = None
        return faded

    def untaken(self, before: float) -> list[PendingCall]:
        """Return those that were granted *before* then, and no worker has taken."""
        return [call for call, at in self._granted.values() if at <= before]

    def spare(self, call: PendingCall, now: float) -> None:
        """Let a call keep its permit a while longer: a worker is about to take it."""
        self._granted[holder_of(call)] = (call, now)

    def changes(self, untaken_s: float) -> list[float]:
        """Return when time itself changes something here."""
        soonest = [min(self._fading.values())] if self._fading else []
        if self._granted:
            soonest.append(min(at for _, at in self._granted.values()) + untaken_s)
        return soonest

    @property
    def held_count(self) -> int:
        """How many permits this server knows of."""
        return len(self._held) + len(self._fading) + len(self._granted)


def holder_of(call: PendingCall) -> str:
    """Return the name under which the store keeps the permit of *call*."""
    delivery = "" if call.permit is None else call.permit[1]
    return f"{call.run}/{call.call.version}/{delivery}"
