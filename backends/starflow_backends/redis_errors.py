"""What the errors of Redis mean to the user of a store."""

from starflow_backends.redis_wire import ReplyError
from starflow_backends.store import (
    CorruptError,
    FullError,
    StoreError,
    UnavailableError,
)


def store_error(error: ReplyError, run: str = "") -> StoreError:
    """Return what *error*, met while at *run*, means."""
    # Older releases put the error of a command into the middle of that of its script.
    text = str(error)
    if "OOM " in text:
        # Refused before the first write.
        return FullError("Redis is out of memory: raise its maxmemory")
    if error.code == "MISCONF":
        return FullError(f"Redis cannot write to its disk: {error}")
    if "WRONGTYPE " in text:
        return CorruptError(run, 0, "one of its keys is of another program")
    if "XADD" in text and "ID" in text:
        return CorruptError(run, 0, "its log goes on past its last version")
    return UnavailableError(f"Redis cannot do it now: {error}")


def is_demoted(error: ReplyError) -> bool:
    """Whether Redis is not the primary any more."""
    return error.code in ("READONLY", "MASTERDOWN")


def is_elsewhere(error: ReplyError) -> bool:
    """Whether Redis has not carried it out because the slot is not all there."""
    return error.code in ("MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN")
