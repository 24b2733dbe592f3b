"""Commits appends, and what else is written, in groups, on one connection."""

import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Sequence

from starflow_backends import failpoints
from starflow_backends.sqlite_errors import is_of_all, store_error
from starflow_backends.sqlite_group import Group, Head, load_heads
from starflow_backends.sqlite_schema import transaction
from starflow_backends.store import Append, CorruptError, StoreError

# Heads of open runs that are kept in memory: a few hundred bytes each.
_HEADS_MAX = 16_384
# Hashes of scripts that are known to be stored.
_SCRIPTS_MAX = 4_096

# Does its work inside a transaction of the caller, and returns an answer.
Operation = Callable[[sqlite3.Connection], object]
Request = Append | Operation


class Committer:
    """
    The writing connection, with what it remembers between groups.

    It may remember heads because nobody else writes: there is one server, and one of
    these in it.  Blocks; used by one thread at a time.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._heads: OrderedDict[str, Head] = OrderedDict()
        self._scripts: set[str] = set()
        (last,) = connection.execute("SELECT max(rid) FROM run").fetchone()
        self._next_rid: int = (last or 0) + 1

    def commit(self, requests: Sequence[Request]) -> list[object]:
        """Carry out *requests* and return for each its answer, or its exception."""
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
            group = Group(self._heads_of(appends), self._next_rid, self._scripts)
            answers = [self._carry_out(request, group) for request in requests]
            group.write(self._connection)
            if failpoints.armed:
                failpoints.reach("sqlite_before_commit")
        if failpoints.armed:
            failpoints.reach("sqlite_after_commit")
        self._remember(group)
        return answers

    def _carry_out(self, request: Request, group: Group) -> object:
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
