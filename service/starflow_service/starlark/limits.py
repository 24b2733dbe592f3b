"""Every bound on what a script may take, in one table."""

import sys
from dataclasses import dataclass, fields

from starflow_service.starlark.shape import NODES_MAX
from starflow_service.starlark.tokens import BRACKETS_MAX, SOURCE_BYTES_MAX, TOKENS_MAX

# CPython refuses to convert longer integers from or to text, process-wide.  It is set
# once, above the longest integer a script can hold (65,536 bits are 19,729 digits), and
# never touched again: toggling it would change it under other threads.
_TEXT_DIGITS_MAX = 20_000

if 0 < sys.get_int_max_str_digits() < _TEXT_DIGITS_MAX:
    sys.set_int_max_str_digits(_TEXT_DIGITS_MAX)


@dataclass(frozen=True, slots=True)
class Limits:
    """
    What one run may take.  A broken limit ends the run with a `LimitError` of its name.

    The payload limits are the exception: a value that cannot be a payload is the
    script's error, and names the place in the value.
    """

    # The text.  Compiling is work that no meter sees.  These can only be lowered: they
    # follow from what CPython compiles, and in what time.
    max_source_bytes: int = SOURCE_BYTES_MAX
    max_source_tokens: int = TOKENS_MAX
    max_source_nesting: int = BRACKETS_MAX
    max_source_nodes: int = NODES_MAX
    max_bundle_bytes: int = 1024 * 1024
    max_bundle_files: int = 64

    # Work and memory.  Steps and CPU time are per activation; bytes are cumulative over
    # the run and grow with every recorded event.  Steps are the same on every machine
    # and come first; the time is for what they do not see.
    max_steps: int = 10_000_000
    max_cpu_time_ns: int = 10_000_000_000
    # Of the first slice; the runtime fits those that follow to the time they take.
    slice_steps: int = 5_000
    max_allocated_bytes: int = 128 * 1024 * 1024
    bytes_per_event: int = 64 * 1024

    # Single values.  Each is chosen so that one native operation at the limit stays
    # near 10 ms: nothing can interrupt it.
    max_string: int = 1_000_000
    max_elements: int = 100_000
    max_int_bits: int = 65_536
    max_nesting: int = 200

    # Calls and messages.
    max_call_depth: int = 200
    max_print_bytes: int = 65_536
    max_events: int = 50_000
    max_open_calls: int = 1_000
    max_branches: int = 1_000
    max_sleep_ns: int = 365 * 24 * 3600 * 1_000_000_000
    max_message: int = 4_096

    # Payloads: what enters and leaves a run as JSON text.
    max_payload_bytes: int = 1024 * 1024
    max_payload_depth: int = 100
    max_payload_digits: int = 19_000

    def by_name(self) -> dict[str, int]:
        """Return all of them."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


DEFAULT_LIMITS = Limits()
