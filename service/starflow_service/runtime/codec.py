"""How the runtime's values become the bytes that a store keeps; `rpc` implements it."""

from typing import Protocol

from starflow_service.engine.events import Event, Failure
from starflow_service.runtime.types import FunctionSpec


class Codec(Protocol):
    """Events, failures and function specifications as bytes and back."""

    def encode(self, event: Event) -> bytes:
        """Return *event* as it is stored and sent."""
        ...

    def decode(self, data: bytes) -> Event:
        """
        Return the event that *data* holds.

        Raises:
            ValueError: It holds none.
        """
        ...

    def encode_failure(self, failure: Failure) -> bytes:
        """Return *failure* as bytes."""
        ...

    def decode_failure(self, data: bytes) -> Failure:
        """Return the failure that *data* holds."""
        ...

    def encode_spec(self, spec: FunctionSpec) -> bytes:
        """Return *spec* as bytes."""
        ...

    def decode_spec(self, data: bytes) -> FunctionSpec:
        """Return the specification that *data* holds."""
        ...
