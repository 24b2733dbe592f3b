"""How an append surely gets into the store: repeated while its outcome is unknown."""

import asyncio
from collections.abc import Sequence

from starflow_backends import failpoints
from starflow_backends.store import Append, Store, UnavailableError
from starflow_service.engine.events import Event

_TRIES = 4
_BACKOFF_S = 0.05


async def append_surely(store: Store, append: Append, events: Sequence[Event]) -> None:
    """
    Append; repeat it while its outcome is unknown.

    Raises:
        StoreError: It was refused, or its outcome stays unknown.
    """
    for tries in range(1, _TRIES + 1):
        try:
            if failpoints.armed:
                _reach("before", events)
            await store.append(append)
            if failpoints.armed:
                _reach("after", events)
        except UnavailableError:
            if tries == _TRIES:
                raise
            await asyncio.sleep(_BACKOFF_S * 4**tries)
        else:
            return


def _reach(when: str, events: Sequence[Event]) -> None:
    for event in events:
        failpoints.reach(f"{when}_{type(event).__name__.lower()}")
