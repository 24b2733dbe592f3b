"""Times and durations: protobuf's pairs of seconds and nanoseconds, and integers."""

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

NS = 1_000_000_000  # nanoseconds in a second


def set_ns(message: Timestamp | Duration, ns: int) -> None:
    """Make *message* say *ns* nanoseconds, exactly."""
    message.seconds, message.nanos = divmod(ns, NS)


def get_ns(message: Timestamp | Duration) -> int:
    """Return the nanoseconds that *message* says."""
    return message.seconds * NS + message.nanos


def set_seconds(message: Duration, seconds: float) -> None:
    """Make *message* say *seconds*, which must not be negative."""
    set_ns(message, round(seconds * NS))
