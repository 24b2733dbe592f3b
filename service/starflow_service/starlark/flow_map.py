"""`flow.map`: one function over many items, so many at a time."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from starflow_service.starlark import results
from starflow_service.starlark.arguments import (
    mismatch,
    want_int,
    want_iterable,
    want_str,
)
from starflow_service.starlark.calls import check_context
from starflow_service.starlark.errors import EvalError, Killed
from starflow_service.starlark.faults import caught
from starflow_service.starlark.flow_options import want_callable
from starflow_service.starlark.host import Context, Future
from starflow_service.starlark.iteration import copied
from starflow_service.starlark.text import brief
from starflow_service.starlark.values import Builtin, HostFunction, List

if TYPE_CHECKING:
    from starflow_service.starlark.meter import Meter

# What an item takes beside its call: its future and its places in tables.
_ITEM_BYTES = 300
_ITEM_STEPS = 10


def _map(
    m: "Meter",
    /,
    ctx: Any,
    fn: Any,
    items: Any,
    max_concurrency: Any = 0,
    errors: Any = "raise",
) -> List:
    """Return what *fn* makes of each of the items, in their order."""
    check_context("flow.map", ctx)
    want_callable("flow.map", fn)
    at_once = want_int(m, "flow.map", "max_concurrency", max_concurrency)
    if at_once < 0:
        raise mismatch("flow.map", "max_concurrency", at_once, "0 or more")
    if want_str("flow.map", "errors", errors) not in ("raise", "return"):
        raise EvalError(
            f"flow.map: for parameter errors: got {brief(m, errors)}, "
            'want "raise" or "return"'
        )
    them = copied(m, want_iterable(m, "flow.map", "items", items))
    under_way = _UnderWay(m, ctx, fn, them, returns_errors=errors == "return")
    try:
        return List(under_way.run(at_once or len(them)))
    except EvalError:
        m.host.drop(m, [future for _, future in under_way.open.values()])
        raise
    except Killed:
        # Whoever kills the branch gives up what it has begun here.
        m.branches.left += under_way.open
        raise
    finally:
        m.branches.forget(under_way.branch)


class _UnderWay:
    """The calls or branches of one map that have begun and not ended."""

    def __init__(
        self,
        m: "Meter",
        ctx: Context,
        fn: Any,
        items: Sequence[Any],
        *,
        returns_errors: bool,
    ) -> None:
        self.branch = m.branches.current
        # By key: the place in the list, and the future.
        self.open: dict[int, tuple[int, Future]] = {}
        self._m = m
        self._ctx = ctx
        self._fn = fn
        self._items = items
        self._returns_errors = returns_errors
        self._results: list[Any] = [None] * len(items)

    def run(self, at_once: int) -> list[Any]:
        """Return the results of all items, *at_once* under way at most."""
        begun = 0
        while begun < len(self._items) or self.open:
            while begun < len(self._items) and len(self.open) < at_once:
                if self.open and not self._room():
                    break
                # Without room and without anything to wait for, this is the limit.
                self._begin(begun)
                begun += 1
            if self.open:
                self._take_ended()
        return self._results

    def _room(self) -> int:
        m = self._m
        if type(self._fn) is HostFunction:
            return m.host.room(m)
        return m.limits.max_branches - len(m.branches.open)

    def _begin(self, place: int) -> None:
        m, fn, item = self._m, self._fn, self._items[place]
        m.charge(_ITEM_BYTES)
        m.work(_ITEM_STEPS)
        try:
            if type(fn) is HostFunction:
                future = m.host.start(m, fn.path, item)
            else:
                future = m.branches.begin(m, (fn, (self._ctx, item), {}))
        except EvalError as error:
            self._put_failure(place, error)
            return
        self.open[future.key] = place, future
        m.branches.watch((future.key,))

    def _take_ended(self) -> None:
        m = self._m
        for key in m.host.next_ended(m):
            place, future = self.open.pop(key)
            try:
                value = m.host.value(m, future)
            except EvalError as error:
                self._put_failure(place, error)
                continue
            if self._returns_errors:
                value = results.success(m, value)
            self._results[place] = value

    def _put_failure(self, place: int, error: EvalError) -> None:
        if not self._returns_errors:
            raise error
        self._results[place] = results.failure(self._m, caught(self._m, error))


MAP = Builtin("flow.map", _map)
