"""The calls of other servers, as the workers of this one get them.

A server that has its store alone has no `Elsewhere`.  What it is asked concerns runs of
partitions that are not served here; everything else never comes to it.
"""

from collections.abc import Sequence
from typing import Protocol

from starflow_service.runtime.pending import Session
from starflow_service.runtime.queues import Waiter
from starflow_service.runtime.types import Completion, Task, TaskBeat, TaskReport


class Elsewhere(Protocol):
    """What other servers of the store have for the workers of this one."""

    def wait(self, waiter: Waiter) -> None:
        """*waiter* has room, and found nothing here."""
        ...

    def has_turn(self, functions: Sequence[tuple[str, str]]) -> bool:
        """Whether the next call of one of *functions* should come from elsewhere."""
        ...

    async def take(
        self,
        session: Session,
        functions: Sequence[tuple[str, str]],
        *,
        poll_id: str,
        tasks_max: int,
        bytes_max: int,
    ) -> list[Task]:
        """Return tasks for a worker that does not wait, leased to it."""
        ...

    async def complete(
        self, session: Session, reports: Sequence[TaskReport]
    ) -> list[Completion]:
        """
        Take reports on tasks of any server, this one too; see `Reports.complete`.

        Raises:
            RunMovingError: A run has no owner for too long.
            StoreDownError: One of them could not be stored.
        """
        ...

    async def renew(self, session: Session, beats: Sequence[TaskBeat]) -> None:
        """Renew the leases of tasks of any server; the session hears what it lost."""
        ...

    def doubt(self, session: Session) -> None:
        """The worker may have died."""
        ...

    def registered(self, namespace: str, functions: Sequence[str]) -> None:
        """The specifications of *functions* were stored."""
        ...
