"""Goes through what a store holds, run by run, bit by bit."""

from collections.abc import AsyncIterator

from starflow_backends.store import Phase, Store

_RUNS = 500
# Each may have a megabyte.
_EVENTS = 200


async def all_runs(store: Store) -> AsyncIterator[str]:
    """Yield the keys of all runs, in their order."""
    after = ""
    while page := await store.runs_in(list(Phase), after=after, limit=_RUNS):
        for key in page:
            yield key
        after = page[-1]


async def all_events(store: Store, key: str, count: int) -> AsyncIterator[bytes]:
    """
    Yield the first *count* events of a run.

    Raises:
        CorruptError: One of them is damaged.
    """
    version = 0
    while version < count:
        limit = min(_EVENTS, count - version)
        page = await store.read(key, from_version=version + 1, limit=limit)
        for event in page:
            yield event
        version += len(page)
        if not page:
            return
