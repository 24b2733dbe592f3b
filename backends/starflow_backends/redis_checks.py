"""Whether a Redis can be trusted with runs: its release, its role, its settings."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from starflow_backends.redis_wire import Pipe, ReplyError
from starflow_backends.store import (
    Durability,
    LayoutError,
    UnavailableError,
    UnsafeError,
)

# The first release that has all the commands; Valkey and others count from there.
_OLDEST = (6, 2)
_UNKNOWN = ""
# What a URL begins with, by the mode that a Redis says it is in.
_SCHEMES = {
    "standalone": "redis://",
    "sentinel": "redis+sentinel://",
    "cluster": "redis+cluster://",
}

# What each level demands, and what each setting must be for it.
_DEMANDS: Mapping[Durability, Mapping[str, str]] = {
    Durability.DISK: {
        "appendonly": "yes",
        "appendfsync": "always",
        # Otherwise it does not sync while it rewrites its file, for minutes perhaps.
        "no-appendfsync-on-rewrite": "no",
        "maxmemory-policy": "noeviction",
    },
    Durability.PROCESS: {"appendonly": "yes", "maxmemory-policy": "noeviction"},
    Durability.MEMORY: {},
}
_SETTINGS = tuple(_DEMANDS[Durability.DISK])


@dataclass(frozen=True, slots=True)
class Facts:
    """What a Redis says of itself."""

    version: str
    mode: str
    role: str
    # Another after each start of the process.
    run_id: str
    # By name; empty if it cannot be known.
    settings: Mapping[str, str]


async def facts_of(pipe: Pipe) -> Facts:
    """
    Ask Redis about itself.

    Raises:
        LayoutError: It does not say.
        UnavailableError: It does not answer.
    """
    try:
        info = _pairs(await pipe.send([b"INFO"]))
    except ReplyError as error:
        raise LayoutError(f"Redis does not say what it is: {error}") from error
    return Facts(
        # Valkey gives the release of Redis that it is compatible with.
        version=info.get("redis_version", ""),
        mode=info.get("redis_mode", "standalone"),
        role=info.get("role", ""),
        run_id=info.get("run_id", ""),
        settings={name: await _setting(pipe, name, info) for name in _SETTINGS},
    )


def check(facts: Facts, shown: str, demanded: Durability, *, kind: str = "") -> None:
    """
    Make sure that a Redis can be used, and keeps what is *demanded*.

    *kind* is what its URL says it is, as in `Address.kind`.

    Raises:
        LayoutError: It cannot be used at all.
        UnsafeError: It would lose what it acknowledged.
        UnavailableError: It is not the primary.
    """
    numbers = re.match(r"([0-9]+)\.([0-9]+)", facts.version)
    if numbers is None or (int(numbers[1]), int(numbers[2])) < _OLDEST:
        raise LayoutError(
            f"it is Redis {facts.version or 'of an unknown release'},"
            " and 6.2 is the oldest that will do"
        )
    wanted = "cluster" if kind == "cluster" else "standalone"
    if facts.mode != wanted:
        raise LayoutError(
            f"{shown} is a Redis in {facts.mode} mode: give it a URL of"
            f" {_SCHEMES.get(facts.mode, 'another kind')}"
        )
    if facts.role != "master":
        raise UnavailableError(
            f"{shown} is a replica ({facts.role}): give the URL of its primary"
        )
    _check_settings(facts, demanded)


def _check_settings(facts: Facts, demanded: Durability) -> None:
    wrong = {
        name: needed
        for name, needed in _DEMANDS[demanded].items()
        if facts.settings[name] != needed
    }
    if not wrong:
        return
    found = ", ".join(f"{name} is {_shown(facts.settings[name])}" for name in wrong)
    commands = "; ".join(f"CONFIG SET {name} {need}" for name, need in wrong.items())
    raise UnsafeError(
        f"Redis would lose what it acknowledged: {found}. Set it with redis-cli:"
        f" {commands}; then CONFIG REWRITE - or start with a lower --durability"
        " (process: survives the death of processes; memory: nothing)"
    )


def _shown(setting: str) -> str:
    return setting or "not to be read (allow CONFIG GET)"


async def _setting(pipe: Pipe, name: str, info: Mapping[str, str]) -> str:
    try:
        found = await pipe.send([b"CONFIG", b"GET", name.encode()])
    except ReplyError:
        # Not allowed, or not there, as with many who rent out Redis.
        return _from_info(name, info)
    return found[1].decode(errors="replace") if len(found) == 2 else _UNKNOWN


def _from_info(name: str, info: Mapping[str, str]) -> str:
    if name == "appendonly":
        return {"1": "yes", "0": "no"}.get(info.get("aof_enabled", ""), _UNKNOWN)
    if name == "maxmemory-policy":
        return info.get("maxmemory_policy", _UNKNOWN)
    return _UNKNOWN


def _pairs(info: bytes) -> dict[str, str]:
    lines = info.decode(errors="replace").splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)
