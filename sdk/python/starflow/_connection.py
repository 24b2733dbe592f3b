"""Where the service is, and how to keep talking to it."""

import json
import os
import random
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio

from starflow.errors import ForkedError

DEFAULT_ADDRESS = "127.0.0.1:7233"
DEFAULT_NAMESPACE = "default"
# gRPC's own limit in every language; the service keeps it on purpose.
MESSAGE_BYTES_MAX = 4 * 1024 * 1024

_SERVICE = {"service": "starflow.v1.WorkflowService"}
_SERVICE_CONFIG = {
    "methodConfig": [
        {
            "name": [_SERVICE],
            # Every method is safe to send again, as long as Run names its run, which
            # `Client` always does.
            "retryPolicy": {
                "maxAttempts": 5,
                "initialBackoff": "0.1s",
                "maxBackoff": "5s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        },
        # No retry by the transport here: the stream goes on at its next version.
        {"name": [{**_SERVICE, "method": "GetEvents"}]},
    ]
}
_RETRIES: list[tuple[str, Any]] = [
    ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
]
# A worker has to know that the service was away: see `Link.on_lost`.
_NO_RETRIES: list[tuple[str, Any]] = [("grpc.enable_retries", 0)]
_OPTIONS: list[tuple[str, Any]] = [
    # gRPC's own backoff grows to two minutes. A restarted server holds back the tasks
    # that workers had for a second, and who comes later finds them given away.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 500),
    # A peer that vanished without a word is noticed while a call waits for it, and
    # another server is asked, if the address names several. The service allows pings
    # every 2 s.  Without the last of the four a lost ping is missed after a minute.
    ("grpc.keepalive_time_ms", 8_000),
    ("grpc.keepalive_timeout_ms", 4_000),
    ("grpc.http2.ping_timeout_ms", 4_000),
    ("grpc.http2.max_pings_without_data", 0),
]


def default_address() -> str:
    """Return where the service is, for those who do not say it."""
    return os.environ.get("STARFLOW_ADDRESS") or DEFAULT_ADDRESS


def default_namespace() -> str:
    """Return the namespace of those who do not name one."""
    return os.environ.get("STARFLOW_NAMESPACE") or DEFAULT_NAMESPACE


@dataclass(frozen=True, slots=True)
class Connection:
    """Everything needed to open a channel to the service."""

    address: str = DEFAULT_ADDRESS
    namespace: str = DEFAULT_NAMESPACE
    credentials: grpc.ChannelCredentials | None = None

    def open(self) -> grpc.aio.Channel:
        """Open a channel that belongs to the running event loop."""
        options = [*_RETRIES, *self._options()]
        if self.credentials is None:
            return grpc.aio.insecure_channel(self.address, options=options)
        return grpc.aio.secure_channel(self.address, self.credentials, options=options)

    def open_blocking(self) -> grpc.Channel:
        """Open a channel for threads, which repeat their requests themselves."""
        options = [*_NO_RETRIES, *self._options()]
        if self.credentials is None:
            return grpc.insecure_channel(self.address, options=options)
        return grpc.secure_channel(self.address, self.credentials, options=options)

    def _options(self) -> list[tuple[str, Any]]:
        host = self.address.rpartition(":")[0].strip("[]")
        if host in ("localhost", "::1") or host.startswith("127."):
            # An http_proxy in the environment cannot lead to this machine itself.
            return [*_OPTIONS, ("grpc.enable_http_proxy", 0)]
        return _OPTIONS


class ForkGuard:
    """Remembers the process it was made in."""

    def __init__(self) -> None:
        self._pid = os.getpid()

    def check(self) -> None:
        """
        Do nothing in the process that made this.

        Raises:
            ForkedError: This is a child of that process.
        """
        if os.getpid() != self._pid:
            raise ForkedError


class Backoff:
    """Growing pauses between attempts, scattered so that clients do not march."""

    def __init__(self, first_seconds: float = 0.1, most_seconds: float = 2.0) -> None:
        self._first = first_seconds
        self._most = most_seconds
        self._next = first_seconds

    def next_seconds(self, at_least: float | None = None) -> float:
        """Return how long to pause now, *at_least* as long as the service asked for."""
        pause = self._next * random.uniform(0.5, 1.0)
        self._next = min(self._next * 2, self._most)
        return max(pause, at_least or 0.0)

    def reset(self) -> None:
        """Begin anew: an attempt succeeded."""
        self._next = self._first
