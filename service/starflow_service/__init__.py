"""The service: runs durable workflows and serves them over gRPC."""

__version__ = "0.1.0"
