"""What a server shows Prometheus, on an address of its own.

Nothing is counted for it alone on the way of a request, but the calls by their status:
whoever asks makes the rest from what the server knows anyway.  The page is served by a
thread of the library, in the text format of Prometheus, under any path.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from wsgiref.simple_server import WSGIServer

import prometheus_client
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from starflow_backends.store import Durability
from starflow_service import __version__
from starflow_service.rpc.server import BindError

# From weak to strong, as a number to compare with in an alert.
_LEVELS = ("memory", "process", "disk")


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the figures come from; each is asked from another thread."""

    store: str
    durability: Durability
    live_runs: Callable[[], int]
    # How many partitions this server owns now.
    partitions: Callable[[], int]
    # Calls by method, such as WorkerService/Poll, and by status, such as OK.
    calls: Callable[[], Mapping[tuple[str, str], int]]


class Metrics(Collector):
    """The figures of one server, made anew each time that somebody asks."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def collect(self) -> Iterator[Metric]:
        """Yield the families of figures."""
        sources = self._sources
        info = GaugeMetricFamily(
            "starflow_info", "1, with what this server is", labels=("version", "store")
        )
        info.add_metric((__version__, sources.store), 1)
        yield info
        durability = GaugeMetricFamily(
            "starflow_store_durability",
            "what is acknowledged survives: 0 nothing, 1 processes, 2 a power cut",
            labels=("level",),
        )
        level = sources.durability.value
        durability.add_metric((level,), _LEVELS.index(level))
        yield durability
        yield GaugeMetricFamily(
            "starflow_live_runs", "runs in memory", value=sources.live_runs()
        )
        yield GaugeMetricFamily(
            "starflow_owned_partitions",
            "partitions whose runs this server moves on",
            value=sources.partitions(),
        )
        calls = CounterMetricFamily(
            "starflow_calls", "calls that have ended", labels=("method", "status")
        )
        # A copy: the server goes on counting.
        for (method, status), count in sorted(dict(sources.calls()).items()):
            calls.add_metric((method, status), count)
        yield calls


class Page:
    """The page, while it is served."""

    def __init__(self, server: WSGIServer, thread: threading.Thread) -> None:
        self._server = server
        self._thread = thread

    @property
    def port(self) -> int:
        """Where it is."""
        return self._server.server_port

    def close(self) -> None:
        """Serve it no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def serve(sources: Sources, host: str, port: int) -> Page:
    """
    Serve the figures on *host* and *port*; 0 is any port.

    Raises:
        BindError: The address cannot be had.
    """
    registry = prometheus_client.CollectorRegistry()
    registry.register(Metrics(sources))
    prometheus_client.ProcessCollector(registry=registry)
    prometheus_client.PlatformCollector(registry=registry)
    try:
        server, thread = prometheus_client.start_http_server(port, host, registry)
    except OSError as error:
        raise BindError(f"{host}:{port}", error.strerror or str(error)) from None
    return Page(server, thread)
