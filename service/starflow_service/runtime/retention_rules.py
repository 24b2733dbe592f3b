"""For how long runs are kept that have finished.

A rule says for how long, for all runs or for those of a namespace, a state, or both.
Of the rules that speak of a run the narrowest counts.  Where none does, it is kept for
ever.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from starflow_service.runtime.types import RunState


@dataclass(frozen=True, slots=True)
class Rule:
    """How long runs are kept that have finished."""

    # None: for ever.
    keep_s: float | None
    # Empty: of all namespaces.
    namespace: str = ""
    # None: however they ended.
    state: RunState | None = None

    @property
    def narrowness(self) -> tuple[bool, bool]:
        """What tells which of two rules counts: the higher one."""
        return bool(self.namespace), self.state is not None

    def speaks_of(self, namespace: str, state: RunState) -> bool:
        """Whether it is a rule for such runs."""
        return self.namespace in ("", namespace) and self.state in (None, state)


def kept_s(rules: Iterable[Rule], namespace: str, state: RunState) -> float | None:
    """Return how long such runs are kept; None for ever."""
    speaking = [rule for rule in rules if rule.speaks_of(namespace, state)]
    if not speaking:
        return None
    return max(speaking, key=lambda rule: rule.narrowness).keep_s
