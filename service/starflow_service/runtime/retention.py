"""Removes finished runs when their time is over; see `retention_rules`."""

import asyncio

import structlog

from starflow_backends.store import Page, Query, Store, StoreError
from starflow_service.runtime import entries
from starflow_service.runtime.clock import Clock
from starflow_service.runtime.deletions import Deletions
from starflow_service.runtime.errors import RuntimeRefusal
from starflow_service.runtime.partitions import Partitions
from starflow_service.runtime.retention_rules import Rule, kept_s
from starflow_service.runtime.types import FINAL_STATES, NS, RunState

log = structlog.get_logger()

_PAGE = 100
_SPACE = "namespace"


class Namespaces:
    """The namespaces that ever had a run."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: set[str] = set()

    async def enter(self, namespace: str) -> None:
        """
        Take note of *namespace*, before its first run begins.

        Raises:
            StoreError: It cannot be noted.
        """
        if namespace not in self._known:
            await self._store.put_record(_SPACE, namespace, b"", replace=False)
            self._known.add(namespace)

    async def all(self) -> list[str]:
        """Return them, whichever server noted them."""
        return sorted(await self._store.scan_records(_SPACE))


class Retention:
    """Deletes, now and then, the runs of this server whose time is over."""

    def __init__(
        self,
        store: Store,
        namespaces: Namespaces,
        deletions: Deletions,
        partitions: Partitions,
        clock: Clock,
        rules: tuple[Rule, ...],
        every_s: float,
    ) -> None:
        self._store = store
        self._namespaces = namespaces
        self._deletions = deletions
        self._partitions = partitions
        self._clock = clock
        self._rules = rules
        self._every_s = every_s
        self._task: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Begin, if there is a rule."""
        if self._rules:
            self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """End; what is left is for the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def sweep(self) -> int:
        """
        Delete what is to be deleted now; return how many runs that were.

        Raises:
            StoreError: The store does not answer.
        """
        count = 0
        for namespace in await self._namespaces.all():
            for state in sorted(FINAL_STATES):
                keep_s = kept_s(self._rules, namespace, state)
                if keep_s is not None:
                    count += await self._sweep(namespace, state, keep_s)
        return count

    async def _run(self) -> None:
        while True:
            try:
                count = await self.sweep()
            except StoreError as error:
                log.warning("retention.failed", error=str(error))
            else:
                if count:
                    log.info("retention.deleted", runs=count)
            await asyncio.sleep(self._every_s)

    async def _sweep(self, namespace: str, state: RunState, keep_s: float) -> int:
        term = entries.ended_term(namespace, state)
        before_ns = max(0, self._clock.now_ns() - int(keep_s * NS))
        query = Query([[term]], before_ns=before_ns, limit=_PAGE)
        count, page = 0, await self._store.find(query)
        while True:
            count += await self._delete_all(page)
            if page.last is None:
                return count
            query = Query([[term]], before_ns=before_ns, after=page.last, limit=_PAGE)
            page = await self._store.find(query)

    async def _delete_all(self, page: Page) -> int:
        ours = [f.run for f in page.found if self._partitions.serves(f.run)]
        deleted = await asyncio.gather(*map(self._delete, ours))
        return sum(deleted)

    async def _delete(self, key: str) -> bool:
        try:
            await self._deletions.delete(key)
        except RuntimeRefusal as refusal:
            log.warning("retention.not_deleted", run=key, error=str(refusal))
            return False
        return True
