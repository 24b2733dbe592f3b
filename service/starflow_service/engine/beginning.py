"""How a log begins, and each of its segments."""

from collections.abc import Mapping

from starflow_service.engine.events import Start
from starflow_service.engine.tape import Tape

# What the language means; a run keeps the one that it began with.
LANGUAGE_VERSION = 1


def record_start(
    tape: Tape,
    script_hash: str,
    payload: str,
    labels: Mapping[str, str],
    headers: Mapping[str, str],
) -> None:
    """Begin a log, or a segment of one, with a new seed."""
    sources = tape.ledger.sources
    seed = sources.nonce() + sources.nonce()
    version, now = tape.ledger.next()
    tape.record_end(
        Start(
            version, now, script_hash, payload, LANGUAGE_VERSION, seed, labels, headers
        )
    )
