"""The version of the installed distribution."""


def version() -> str:
    """Return the version, or "0" when run from a tree that was never installed."""
    # Not at the top: it takes a third as long to load as all of gRPC.
    from importlib import metadata

    try:
        return metadata.version("starflow-grpc")
    except metadata.PackageNotFoundError:
        return "0"
