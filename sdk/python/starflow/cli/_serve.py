"""`starflow serve` and `starflow store`: hand over to the service, another program."""

import importlib.util
import os
import sys
from collections.abc import Sequence

from starflow.cli import _exits

# What the service needs beyond the SDK, as far as this can look without importing it.
_NEEDED = (
    "starflow_service",
    "greenlet",
    "grpc_health",
    "grpc_reflection",
    "structlog",
)


def serve(arguments: Sequence[str]) -> int:
    """Replace this process by the service; return only if it is not installed."""
    if absent := missing():
        return _exits.complain(
            _exits.Complaint(_exits.USAGE, refusal(absent)),
            as_json="--json" in arguments,
        )
    # exec and not a child: signals and exit code are then the service's own.
    command = [sys.executable, "-m", "starflow_service", *arguments]
    os.execv(sys.executable, command)


def store(arguments: Sequence[str]) -> int:
    """Do as `serve`, for what is done to a store that no server uses."""
    return serve(["store", *arguments])


def missing() -> list[str]:
    """Return what of the service is not installed."""
    return [name for name in _NEEDED if importlib.util.find_spec(name) is None]


def refusal(absent: Sequence[str]) -> str:
    """Return what to say when *absent* is not installed."""
    return (
        f"the service is not installed ({', '.join(absent)} missing): "
        "pip install 'starflow-grpc[service]'"
    )
