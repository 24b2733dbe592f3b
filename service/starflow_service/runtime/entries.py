"""What runs are found by in lists, and what a list shows of them.

A store knows **terms**: numbers that stand for what runs have in common.  A run has one
for its state (together with whether it is paused), one for its script, one for each of
its labels, all with the time when it began; and, when it has ended, one for that, with
the time of its end.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import field
from functools import lru_cache
from typing import Any

from starflow_backends.store import Entry
from starflow_service.engine.frozen import frozen
from starflow_service.runtime.types import FINAL_STATES, PauseReason, RunState


@frozen
class Listed:
    """What a list shows of a run, but for its version."""

    state: RunState
    script_hash: str
    create_ns: int
    finish_ns: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    pause_reason: PauseReason | None = None
    cancel_requested: bool = False
    restarts: int = 0


def entry_of(namespace: str, listed: Listed) -> Entry:
    """Return what the store keeps of *listed*."""
    begun = listed.create_ns
    is_paused = listed.pause_reason is not None
    terms = {
        state_term(namespace, listed.state, is_paused=is_paused): begun,
        script_term(namespace, listed.script_hash): begun,
    }
    for name, value in listed.labels.items():
        terms[label_term(namespace, name, value)] = begun
    if listed.finish_ns is not None:
        terms[ended_term(namespace, listed.state)] = listed.finish_ns
    return Entry(terms, _encode(listed))


def listed_of(summary: bytes) -> Listed:
    """Return what `entry_of` made *summary* of."""
    fields = json.loads(summary)
    pause = fields.get("pause")
    return Listed(
        RunState(fields["state"]),
        fields["script"],
        fields["create_ns"],
        fields.get("finish_ns"),
        fields.get("labels", {}),
        PauseReason[pause] if pause else None,
        fields.get("cancel", False),
        fields.get("restarts", 0),
    )


def _encode(listed: Listed) -> bytes:
    fields: dict[str, Any] = {
        "state": listed.state.value,
        "script": listed.script_hash,
        "create_ns": listed.create_ns,
    }
    if listed.finish_ns is not None:
        fields["finish_ns"] = listed.finish_ns
    if listed.labels:
        fields["labels"] = dict(listed.labels)
    if listed.pause_reason is not None:
        fields["pause"] = listed.pause_reason.name
    if listed.cancel_requested:
        fields["cancel"] = True
    if listed.restarts:
        fields["restarts"] = listed.restarts
    return json.dumps(fields, separators=(",", ":")).encode()


# Terms


def state_term(namespace: str, state: RunState, *, is_paused: bool) -> int:
    """Return the term of the runs of a state, paused or not."""
    return _term(namespace, "paused" if is_paused else "state", state.name)


def script_term(namespace: str, script_hash: str) -> int:
    """Return the term of the runs of a script."""
    return _term(namespace, "script", script_hash)


def label_term(namespace: str, name: str, value: str) -> int:
    """Return the term of the runs with a label."""
    return _term(namespace, "label", f"{name}={value}")


def ended_term(namespace: str, state: RunState) -> int:
    """Return the term, with the time of their end, of the runs that ended so."""
    return _term(namespace, "ended", state.name)


# The states that a run can be paused in, and those that runs are in at all.
LIVE_STATES = (RunState.RUNNING, RunState.SLEEPING, RunState.YIELDED)
STATES = (*LIVE_STATES, *sorted(FINAL_STATES))


@lru_cache(maxsize=4096)
def _term(namespace: str, kind: str, value: str) -> int:
    # No part of it has a zero byte: names are narrow, labels printable.
    text = f"{namespace}\0{kind}\0{value}".encode()
    digest = hashlib.blake2b(text, digest_size=8).digest()
    return int.from_bytes(digest) >> 1
