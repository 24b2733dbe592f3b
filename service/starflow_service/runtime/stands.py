"""Why a call under way has no result yet."""

from starflow_service.runtime.calls import Calls
from starflow_service.runtime.pending import PendingCall
from starflow_service.runtime.types import CallState
from starflow_service.runtime.workforce import Workforce


def stands(
    namespace: str,
    function: str,
    call: PendingCall | None,
    calls: Calls,
    force: Workforce,
    *,
    is_backing_off: bool,
) -> tuple[CallState, str]:
    """Return what a call waits for; None is one that is about to be offered."""
    if call is not None and call.is_settling:
        return CallState.STORING, "its result is being stored"
    if call is not None and call.lease is not None:
        worker = call.lease.session.worker_id
        return CallState.LEASED, f"worker {worker} has it, attempt {call.attempt}"
    if is_backing_off:
        return CallState.BACKING_OFF, f"{_failed(call)}; the next is not due yet"
    if call is not None and not call.is_queued:
        return CallState.RECOVERING, "the server waits for whoever had it before"
    if not force.has_worker(namespace, function):
        return CallState.NO_WORKER, f"no worker offers {function} now"
    if call is not None:
        problem = calls.permits.problem(call)
        if problem:
            return CallState.QUEUE_LIMIT, problem
    live = len(force.live_workers(namespace, function))
    who = f"one of {live} workers" if live > 1 else "its worker"
    return CallState.WORKERS_BUSY, f"waits for {who} to ask for it"


def _failed(call: PendingCall | None) -> str:
    failed = 1 if call is None else call.failed
    return "1 attempt has failed" if failed == 1 else f"{failed} attempts have failed"
