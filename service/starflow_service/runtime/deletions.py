"""Deletes runs that have finished, and sees to it that nothing of them is left here."""

import asyncio

import structlog

from starflow_backends.store import (
    ConflictError,
    Store,
    StoreError,
    UnavailableError,
)
from starflow_service.runtime.errors import RunNotFinishedError, StoreDownError
from starflow_service.runtime.index import state_of
from starflow_service.runtime.live import LiveRun
from starflow_service.runtime.runs import Runs
from starflow_service.runtime.watches import Watches

log = structlog.get_logger()

_TRIES = 4
_BACKOFF_S = 0.05


class Deletions:
    """Deletes runs; their ids are refused for *tombstone_s* seconds."""

    def __init__(
        self, store: Store, runs: Runs, watches: Watches, tombstone_s: float
    ) -> None:
        self._store = store
        self._runs = runs
        self._watches = watches
        self._tombstone_ns = int(tombstone_s * 1e9)

    async def delete(self, key: str) -> None:
        """
        Delete the run *key*.

        Raises:
            RunNotFoundError: There is no such run.
            RunNotFinishedError: It has not finished.
            StoreDownError: The store failed.
        """
        version = await self._runs.submit(key, _finished_version, needs_script=False)
        try:
            await self._delete_surely(key, version)
        except StoreError as error:
            raise StoreDownError(str(error)) from error
        await self._runs.forget(key)
        # Whoever follows it is told that it is gone.
        self._watches.notify(key, is_at_rest=True)
        log.info("run.deleted", run=key)

    async def _delete_surely(self, key: str, version: int) -> None:
        for tries in range(1, _TRIES + 1):
            try:
                await self._store.delete(
                    key, expected_version=version, tombstone_ns=self._tombstone_ns
                )
            except UnavailableError:
                if tries == _TRIES:
                    raise
                await asyncio.sleep(_BACKOFF_S * 4**tries)
            except ConflictError as error:
                # A finished log does not grow: it is another run already.
                log.warning("run.not_deleted", run=key, error=str(error))
                return
            else:
                return


def _finished_version(run: LiveRun) -> int:
    if run.history.finish is None:
        raise RunNotFinishedError(run.run_id, state_of(run.history).name)
    return run.version
