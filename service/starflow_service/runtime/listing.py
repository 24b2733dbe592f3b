"""Lists runs: turns a filter into what stores are asked, and pages into tokens."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import field
from itertools import product

from starflow_backends.store import (
    TIME_MAX_NS,
    Found,
    Place,
    Query,
    Store,
    StoreError,
)
from starflow_service.engine.frozen import frozen
from starflow_service.runtime import entries
from starflow_service.runtime.entries import LIVE_STATES, STATES, Listed
from starflow_service.runtime.errors import FieldInvalidError, StoreDownError
from starflow_service.runtime.types import PauseReason, RunState

__all__ = ["TIME_MAX_NS", "ListedRun", "Listing", "RunFilter"]

_DIGEST_BYTES = 8
_TIME_BYTES = 8


@frozen
class RunFilter:
    """Which runs are listed: all that is set must hold."""

    # One of these; empty: any.
    states: Sequence[RunState] = ()
    # All of these.
    labels: Mapping[str, str] = field(default_factory=dict)
    # Begun at this time or later, and before that.
    since_ns: int = 0
    before_ns: int = TIME_MAX_NS
    # None: either.
    is_paused: bool | None = None
    # Empty: any.
    script_hash: str = ""
    run_id_prefix: str = ""


@frozen
class ListedRun:
    """A run of a list."""

    namespace: str
    run_id: str
    version: int
    listed: Listed


class Listing:
    """Answers `Runtime.list_runs`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def page(
        self, namespace: str, wanted: RunFilter, size: int, token: str
    ) -> tuple[list[ListedRun], str]:
        """
        Return a page of at most *size* runs, and the token of the next one.

        Raises:
            FieldInvalidError: The token is none, or of another list.
            StoreDownError: The store does not answer.
        """
        digest = _digest_of(namespace, wanted)
        query = Query(
            _groups(namespace, wanted),
            wanted.since_ns,
            wanted.before_ns,
            f"{namespace}/{wanted.run_id_prefix}" if wanted.run_id_prefix else "",
            _read_token(token, digest, namespace) if token else None,
            size,
        )
        if not all(query.groups):
            # Such as for a state that no run is ever in.
            return [], ""
        try:
            page = await self._store.find(query)
        except StoreError as error:
            raise StoreDownError(str(error)) from error
        runs = [_listed_run(found) for found in page.found]
        # Terms are shorter than what they stand for, so two may be the same.
        runs = [run for run in runs if run.namespace == namespace]
        next_token = _token_of(page.last, digest) if page.last else ""
        return [run for run in runs if _has_labels(run, wanted)], next_token


def _groups(namespace: str, wanted: RunFilter) -> list[tuple[int, ...]]:
    """Return the terms to look for, one at least of each group."""
    pauses = (False, True) if wanted.is_paused is None else (wanted.is_paused,)
    states = tuple(
        entries.state_term(namespace, state, is_paused=is_paused)
        for state, is_paused in product(wanted.states or STATES, pauses)
        # A run that has ended is never paused.
        if not is_paused or state in LIVE_STATES
    )
    groups = [states]
    if wanted.script_hash:
        groups.append((entries.script_term(namespace, wanted.script_hash),))
    for name, value in wanted.labels.items():
        groups.append((entries.label_term(namespace, name, value),))
    if len(groups) > 1 and not wanted.states and wanted.is_paused is None:
        # They hold of every run.
        del groups[0]
    return groups


def _listed_run(found: Found) -> ListedRun:
    namespace, _, run_id = found.run.partition("/")
    if found.summary:
        listed = entries.listed_of(found.summary)
    else:
        # What is stored of it is damaged; whoever asks for the run itself learns more.
        reason = PauseReason.LOG_CORRUPT
        listed = Listed(RunState.RUNNING, "", found.time_ns, pause_reason=reason)
    return ListedRun(namespace, run_id, found.version, listed)


def _has_labels(run: ListedRun, wanted: RunFilter) -> bool:
    labels = run.listed.labels
    return all(labels.get(name) == value for name, value in wanted.labels.items())


# Tokens: which list it is of, and where the page ended.


def _digest_of(namespace: str, wanted: RunFilter) -> bytes:
    states = sorted(set(wanted.states))
    labels = sorted(wanted.labels.items())
    text = repr(
        (
            namespace,
            states,
            labels,
            wanted.since_ns,
            wanted.before_ns,
            wanted.is_paused,
            wanted.script_hash,
            wanted.run_id_prefix,
        )
    )
    return hashlib.blake2b(text.encode(), digest_size=_DIGEST_BYTES).digest()


def _token_of(last: Place, digest: bytes) -> str:
    time_ns, run = last
    token = digest + time_ns.to_bytes(_TIME_BYTES) + run.encode()
    return base64.urlsafe_b64encode(token).decode()


def _read_token(token: str, digest: bytes, namespace: str) -> Place:
    try:
        data = base64.b64decode(token, altchars=b"-_", validate=True)
        run = data[_DIGEST_BYTES + _TIME_BYTES :].decode()
    except ValueError:
        raise FieldInvalidError("page_token", "is no token of ListRuns") from None
    time_ns = int.from_bytes(data[_DIGEST_BYTES : _DIGEST_BYTES + _TIME_BYTES])
    if data[:_DIGEST_BYTES] != digest or not run.startswith(f"{namespace}/"):
        problem = "is of another list: namespace and filter must be as they were"
        raise FieldInvalidError("page_token", problem)
    if time_ns > TIME_MAX_NS:
        raise FieldInvalidError("page_token", "is no token of ListRuns")
    return time_ns, run
