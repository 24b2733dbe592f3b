"""What the engine may know of the world: time, chance, and the functions' own terms."""

from collections.abc import Mapping

from starflow_service.engine.ledger import Sources
from starflow_service.runtime.clock import Clock
from starflow_service.runtime.registry import Registry
from starflow_service.runtime.types import FunctionSpec


class World:
    """The sources of all runs."""

    def __init__(self, clock: Clock, registry: Registry) -> None:
        self.clock = clock
        self._registry = registry

    def of(self, key: str) -> Sources:
        """Return the sources of the run *key*."""
        namespace = key.partition("/")[0]
        return NamespaceSources(self.clock, self._registry.by_name(namespace))


class NamespaceSources:
    """The sources of runs for which the functions are *specs*; see `Sources`."""

    __slots__ = ("_specs", "nonce", "now_ns", "rand_below")

    def __init__(self, clock: Clock, specs: Mapping[str, FunctionSpec]) -> None:
        self._specs = specs
        # Asked for at every step: what the clock says is not passed on by hand.
        self.now_ns = clock.now_ns
        self.rand_below = clock.rand_below
        self.nonce = clock.nonce

    def call_timeout_ns(self, function: str) -> int | None:
        spec = self._specs.get(function)
        return None if spec is None else spec.call_timeout_ns
