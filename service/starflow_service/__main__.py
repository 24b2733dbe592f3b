"""``python -m starflow_service`` starts a server; with ``store``, looks after one's."""

import os
import sys

# What the extra brings; the package itself installs without.
_EXTRA = frozenset({"greenlet", "grpc_health", "grpc_reflection", "structlog"})


def run() -> int:
    """Run what is asked for; say how to install what is missing."""
    # What gRPC's core writes to stderr is said by us, in lines that can be read.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    try:
        from starflow_service.app import main
        from starflow_service.store_tools.cli import main as store_main
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in _EXTRA:
            raise
        sys.stderr.write(
            f"starflow_service needs {missing}, which is not installed:"
            " pip install 'starflow-grpc[service]'\n"
        )
        return 1
    if sys.argv[1:2] == ["store"]:
        return store_main(sys.argv[2:])
    return main()


if __name__ == "__main__":
    sys.exit(run())
