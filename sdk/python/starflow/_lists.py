"""What is asked for when runs are listed."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from starflow.v1 import run_pb2
from starflow.v1 import workflow_service_pb2 as pb

# As many as the service gives at a time.
PAGE_SIZE_MAX = 500


def run_filter(
    *,
    states: Iterable[str],
    labels: Mapping[str, str] | None,
    since: datetime | None,
    before: datetime | None,
    paused: bool | None,
    script_hash: str,
    prefix: str,
) -> pb.RunFilter:
    """
    Return the filter that holds what is given.

    Raises:
        ValueError: There is no such state, or a time has no zone.
    """
    found = pb.RunFilter(
        states=[_state(name) for name in states],
        labels=labels,
        script_hash=script_hash,
        run_id_prefix=prefix,
    )
    if paused is not None:
        found.paused = paused
    if since is not None:
        found.earliest_create_time.FromDatetime(_with_zone(since))
    if before is not None:
        found.latest_create_time.FromDatetime(_with_zone(before))
    return found


def _state(name: str) -> str:
    known = {n.removeprefix("RUN_STATE_"): n for n in run_pb2.RunState.keys()[1:]}
    if name.upper() not in known:
        raise ValueError(f"{name} is no state: choose from {', '.join(known)}")
    return known[name.upper()]


def _with_zone(time: datetime) -> datetime:
    if time.tzinfo is None:
        # It would be taken for UTC, and be off by hours.
        raise ValueError("a time needs its zone, as in datetime.now(UTC)")
    return time
