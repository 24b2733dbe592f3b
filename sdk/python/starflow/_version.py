"""The version of the installed distribution."""

from importlib import metadata


def version() -> str:
    """Return the version, or "0" when run from a tree that was never installed."""
    try:
        return metadata.version("starflow-grpc")
    except metadata.PackageNotFoundError:
        return "0"
