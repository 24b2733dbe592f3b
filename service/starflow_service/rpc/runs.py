"""Runs as ``starflow.v1.Run`` messages."""

from collections.abc import Mapping

from starflow.v1 import run_pb2
from starflow_service.rpc.codec import fill_failure, fill_result
from starflow_service.rpc.times import set_ns
from starflow_service.runtime.types import CallWait, RunView, SignalWait, SleepWait

# A run can have many calls open, each with a failure of a megabyte behind it.  As many
# as fit are told in full, so that the answer stays below gRPC's 4 MiB.
_FAILURES_BYTES_MAX = 512 * 1024


def fill_run(message: run_pb2.Run, view: RunView, *, is_full: bool) -> None:
    """Make *message* say what *view* says; its payloads only if *is_full*."""
    message.namespace = view.namespace
    message.run_id = view.run_id
    message.state = view.state.value  # type: ignore[assignment]
    message.script_hash = view.script_hash
    fill_labels(message, view.labels)
    message.version = view.version
    set_ns(message.create_time, view.create_ns)
    set_ns(message.update_time, view.update_ns)
    if view.finish_ns is not None:
        set_ns(message.finish_time, view.finish_ns)
    if view.pause_reason is not None:
        message.paused = True
        message.pause_reason = view.pause_reason.value  # type: ignore[assignment]
        message.pause_message = view.pause_message
    if view.cancel_reason is not None:
        message.cancel_requested = True
        message.cancel_reason = view.cancel_reason
    message.restarts = view.restarts
    message.segment_version = view.segment_version
    message.unread_signal_count = view.unread_count
    for signal in view.unread:
        unread = message.unread_signals.add(name=signal.name, version=signal.version)
        set_ns(unread.time, signal.time_ns)
    if view.waits:
        _fill_waits(message, view)
    if is_full:
        message.input.json = view.input
        if view.status is not None:
            message.status.json = view.status
        if view.result is not None:
            fill_result(message, view.result)


def fill_labels(message: run_pb2.Run, labels: Mapping[str, str]) -> None:
    """Set the labels of *message*."""
    if labels:
        message.labels.update(labels)


def _fill_waits(message: run_pb2.Run, view: RunView) -> None:
    room = _FAILURES_BYTES_MAX
    for wait in view.waits:
        added = message.waits.add()
        if isinstance(wait, SleepWait):
            set_ns(added.sleep.wake_time, wait.wake_ns)
        elif isinstance(wait, SignalWait):
            _fill_signal_wait(added.signal, wait)
        else:
            _fill_call_wait(added.call, wait)
            room -= added.call.last_failure.ByteSize()
            if room < 0:
                added.call.ClearField("last_failure")


def _fill_signal_wait(message: run_pb2.SignalWait, wait: SignalWait) -> None:
    message.signal_id = wait.signal_id
    message.function = wait.function
    message.yield_version = wait.yield_version
    message.name = wait.name
    message.wait_version = wait.wait_version
    if wait.expire_ns is not None:
        set_ns(message.expire_time, wait.expire_ns)


def _fill_call_wait(message: run_pb2.CallWait, wait: CallWait) -> None:
    message.function = wait.function
    message.call_version = wait.call_version
    message.attempt = wait.attempt
    message.worker_id = wait.worker_id
    message.state = wait.state.value  # type: ignore[assignment]
    message.state_message = wait.state_message
    message.queue = wait.queue
    if wait.attempt_start_ns is not None:
        set_ns(message.attempt_start_time, wait.attempt_start_ns)
    if wait.next_attempt_ns is not None:
        set_ns(message.next_attempt_time, wait.next_attempt_ns)
    if wait.expire_ns is not None:
        set_ns(message.expire_time, wait.expire_ns)
    if wait.last_failure is not None:
        fill_failure(message.last_failure, wait.last_failure)
