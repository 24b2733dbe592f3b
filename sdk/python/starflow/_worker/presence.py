"""Lets the service know within seconds that this process has died."""

import threading
import time

import grpc

from starflow._worker.ledger import Ledger
from starflow._worker.link import Link
from starflow._worker.signs import Signs
from starflow.v1 import worker_service_pb2 as pb

_HOLD_SECONDS = 20.0
# A service that answers early, or not at all, is not asked again sooner.
_PAUSE_SECONDS = 1.0


class Presence:
    """
    Keeps one heartbeat waiting at the service, whose breaking off tells of our death.

    A waiting poll would tell as much, but there is none while all slots are taken.  No
    thread waits here: each answer begins the next heartbeat.
    """

    def __init__(self, link: Link, ledger: Ledger, signs: Signs) -> None:
        self._link = link
        self._ledger = ledger
        self._signs = signs
        self._lock = threading.Lock()
        self._stopped = False
        self._began_at = 0.0
        self._call: grpc.Future[pb.HeartbeatResponse] | None = None
        self._timer: threading.Timer | None = None

    def start(self) -> None:
        """Begin to be there."""
        with self._lock:
            if self._stopped:
                return
            held = self._ledger.held()
            tasks = [pb.TaskHeartbeat(task_token=task.token) for task in held]
            self._began_at = time.monotonic()
            try:
                self._call = self._link.stay(tasks, _HOLD_SECONDS)
            except ValueError:
                # The channel was closed under us: the worker ends.
                return
        # Outside of the lock: a call that has ended calls back at once.
        self._call.add_done_callback(self._answered)

    def stop(self) -> None:
        """Leave."""
        with self._lock:
            self._stopped = True
            call, timer = self._call, self._timer
        if timer is not None:
            timer.cancel()
            timer.join()
        if call is not None:
            call.cancel()

    def _answered(self, call: "grpc.Future[pb.HeartbeatResponse]") -> None:
        early = time.monotonic() - self._began_at < _PAUSE_SECONDS
        if not call.cancelled() and call.exception() is None:
            response = call.result()
            self._signs.obey(response.directives)
            self._signs.drained(response.drained)
            if not early:
                self.start()
                return
        with self._lock:
            if self._stopped:
                return
            self._timer = threading.Timer(_PAUSE_SECONDS, self.start)
            self._timer.daemon = True
            self._timer.start()
