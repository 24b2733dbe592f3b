"""Parks runs of which the store has lost events that it had acknowledged.

What is left of their logs is whole, but a worker or a client may know of more: of a
result that was recorded, a signal that was taken.  Whether such a run may go on from
where its log ends now is for a person to say.
"""

import structlog

from starflow_backends.store import Append, LostHistoryError, Phase, Store, StoreError
from starflow_service.runtime.appends import append_surely
from starflow_service.runtime.notes import Note
from starflow_service.runtime.pauses import lost_history

log = structlog.get_logger()


async def park_lost(store: Store, loss: LostHistoryError, append_id: str) -> bool:
    """
    Park a run in the store; return whether it is parked now.

    One of which nothing is left cannot be: the store goes on refusing it.
    """
    if not loss.version:
        return False
    pause = lost_history(loss.acknowledged_version, loss.version)
    park = Append(
        run=loss.run,
        expected_version=loss.version,
        append_id=append_id,
        phase=Phase.PAUSED,
        note=Note(pause).encode(),
    )
    try:
        await append_surely(store, park, [])
    except StoreError as error:
        log.warning("run.park_failed", run=loss.run, error=str(error))
        return False
    log.error("run.lost_history", run=loss.run, problem=str(loss))
    return True
