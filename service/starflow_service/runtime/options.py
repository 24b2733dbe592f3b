"""What can be set about the runtime."""

from dataclasses import dataclass, field

from starflow_service.runtime.retention_rules import Rule
from starflow_service.starlark.limits import Limits


@dataclass(frozen=True, slots=True)
class Options:
    """Times are in seconds."""

    # How long a task stays with a worker that says nothing.
    lease_s: float = 15.0
    # How often workers are asked to say something.
    heartbeat_s: float = 5.0
    # How long a lease still lasts once its worker's waiting poll has broken off.
    suspect_s: float = 2.0
    # How long one attempt may take where the function does not say.
    attempt_timeout_s: float = 3600.0
    # How long a waiting call waits at most.
    max_wait_s: float = 60.0
    max_poll_tasks: int = 1000
    # How long calls of an earlier server are kept for the workers that may hold them.
    recovery_grace_s: float = 1.0
    # Runs kept in memory with their interpreter, and how long one may be idle there.
    live_runs_max: int = 10_000
    idle_evict_s: float = 10.0
    # How long a script computes at a time while others may want the loop.
    slice_s: float = 0.001
    # After how long the run that holds the loop is named in the log.
    held_s: float = 0.25
    # How long a run that has but one strike left is not tried by a new server.
    crash_grace_s: float = 10.0
    # Attempts of one call, lost ones included, whatever the policy says.
    attempts_max: int = 100
    # Waiting polls, and runs in memory with work to do, before new ones are refused.
    waiting_polls_max: int = 10_000
    busy_runs_max: int = 100_000
    # Compiled scripts kept in memory.
    programs_max: int = 500
    # How long runs are kept that have finished; without a rule for ever.  How often
    # somebody looks for those whose time is over.
    retention: tuple[Rule, ...] = ()
    retention_every_s: float = 60.0
    # How long the id of a deleted run is refused.
    tombstone_s: float = 86_400.0
    limits: Limits = field(default_factory=Limits)
