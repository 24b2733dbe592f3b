"""Commits appends, and what else is written, in groups, on one connection."""

import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from starflow_backends import failpoints
from starflow_backends.sqlite_errors import is_of_all, store_error
from starflow_backends.sqlite_find import deleted, last_tombstone_ns
from starflow_backends.sqlite_group import Group, Head, load_heads
from starflow_backends.sqlite_schema import transaction
from starflow_backends.store import Append, CorruptError, StoreError

# Heads of open runs that are kept in memory: a few hundred bytes each.
_HEADS_MAX = 8_192
# Hashes of scripts that are known to be stored.
_SCRIPTS_MAX = 4_096

# Does its work inside a transaction of the caller, and returns an answer.
Operation = Callable[[sqlite3.Connection], object]


@dataclass(frozen=True, slots=True)
class Alone:
    """An operation that changes runs: it comes between appends, in its turn."""

    operation: Operation


Request = Append | Operation | Alone


class Committer:
    """
    The writing connection, with what it remembers between groups.

    It may remember heads because nobody else writes: there is one server, and one of
    these in it.  Blocks; used by one thread at a time.
    """

    def __init__(
        self, connection: sqlite3.Connection, clock: Callable[[], int]
    ) -> None:
        self._connection = connection
        self._clock = clock
        self._heads: OrderedDict[str, Head] = OrderedDict()
        self._scripts: set[str] = set()
        (last,) = connection.execute("SELECT max(rid) FROM run").fetchone()
        self._next_rid: int = (last or 0) + 1
        self._tombstones_until_ns = last_tombstone_ns(connection)

    def commit(self, requests: Sequence[Request]) -> list[object]:
        """Carry out *requests* and return for each its answer, or its exception."""
        answers: list[object] = []
        for is_alone, group in groupby(requests, lambda r: isinstance(r, Alone)):
            # Those that come alone are few.
            for each in ([one] for one in group) if is_alone else (list(group),):
                answers += self._commit_all(each)
        return answers

    def _commit_all(self, requests: Sequence[Request]) -> list[object]:
        try:
            return self._commit_group(requests)
        except Exception as error:
            # What is written now is for the database to say.
            self._heads.clear()
            if len(requests) > 1 and not is_of_all(error):
                # One of them is to blame, and the others shall not suffer for it.
                return [self.commit([request])[0] for request in requests]
            return [_failure(error, request) for request in requests]

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _commit_group(self, requests: Sequence[Request]) -> list[object]:
        appends = [request for request in requests if isinstance(request, Append)]
        with transaction(self._connection):
            heads = self._heads_of(appends)
            deleted = self._deleted(append.run for append in appends)
            group = Group(heads, self._next_rid, self._scripts, deleted)
            answers = [self._carry_out(request, group) for request in requests]
            group.write(self._connection)
            if failpoints.armed:
                failpoints.reach("sqlite_before_commit")
        if failpoints.armed:
            failpoints.reach("sqlite_after_commit")
        self._remember(group)
        return answers

    def _carry_out(self, request: Request, group: Group) -> object:
        if isinstance(request, Alone):
            # What it does to them is for the database to say.
            self._heads.clear()
            answer = request.operation(self._connection)
            self._tombstones_until_ns = last_tombstone_ns(self._connection)
            return answer
        if not isinstance(request, Append):
            return request(self._connection)
        try:
            group.plan(request)
        except StoreError as error:
            return error
        return None

    def _heads_of(self, appends: Sequence[Append]) -> dict[str, Head | CorruptError]:
        heads: dict[str, Head | CorruptError] = {}
        missing = []
        for append in appends:
            head = self._heads.get(append.run)
            if head is None:
                missing.append(append.run)
            else:
                heads[append.run] = head
        if missing:
            heads.update(load_heads(self._connection, missing))
        return heads

    def _deleted(self, runs: Iterable[str]) -> set[str]:
        # Few stores have tombstones, and few of the others have one for these.
        now_ns = self._clock()
        if now_ns >= self._tombstones_until_ns:
            return set()
        return deleted(self._connection, list(runs), now_ns)

    def _remember(self, group: Group) -> None:
        self._next_rid = group.next_rid
        for run, head in group.heads.items():
            if isinstance(head, CorruptError) or head.is_finished:
                self._heads.pop(run, None)
            else:
                self._heads[run] = head
                self._heads.move_to_end(run)
        while len(self._heads) > _HEADS_MAX:
            self._heads.popitem(last=False)
        if len(self._scripts) > _SCRIPTS_MAX:
            self._scripts.clear()
        self._scripts.update(group.scripts)


def _failure(error: Exception, request: Request) -> Exception:
    if isinstance(request, Append):
        return store_error(error, request.run, request.expected_version)
    return store_error(error)
