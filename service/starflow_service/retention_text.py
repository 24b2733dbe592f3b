"""Retention as people write it: ``30d``, or ``30d,failed=90d,shop/failed=never``.

Rules are separated by commas.  A bare duration is for all runs; before an equals sign
comes a state (succeeded, failed, cancelled), ``NAMESPACE/STATE`` or ``NAMESPACE/*``.
"""

import re

from starflow_service.runtime.retention_rules import Rule
from starflow_service.runtime.types import FINAL_STATES, RunState

WORDS = "rules such as 30d, or 30d,failed=90d,NAMESPACE/*=7d,NAMESPACE/failed=never"

_RULE = re.compile(
    r"(?:(?:(?P<namespace>[a-z][a-z0-9-]{0,62})/)?(?P<state>\*|[a-z]+)=)?(?P<keep>\w+)"
)
_KEEP = re.compile(r"([0-9]{1,9})(s|m|h|d)")
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_STATES = {state.name.lower(): state for state in FINAL_STATES}


def read_retention(text: str) -> tuple[Rule, ...]:
    """
    Return the rules that *text* writes down.

    Raises:
        ValueError: It is none, or speaks of the same runs twice; the error says what is
            wanted.
    """
    rules = tuple(_rule(part.strip()) for part in text.split(","))
    spoken_of = {(rule.namespace, rule.state) for rule in rules}
    if len(spoken_of) < len(rules):
        raise ValueError("rules that each speak of other runs")
    return rules


def _rule(text: str) -> Rule:
    match = _RULE.fullmatch(text)
    if match is None:
        raise ValueError(WORDS)
    return Rule(
        _keep_s(match["keep"]), match["namespace"] or "", _state(match["state"])
    )


def _state(name: str | None) -> RunState | None:
    if name in (None, "*"):
        return None
    if name not in _STATES:
        raise ValueError(f"{WORDS}; the states are {', '.join(sorted(_STATES))}")
    return _STATES[name]


def _keep_s(text: str) -> float | None:
    if text == "never":
        return None
    match = _KEEP.fullmatch(text)
    if match is None:
        raise ValueError(WORDS)
    return float(int(match[1]) * _UNIT_S[match[2]])
