"""Runs that take the server's process down with them.

Everything that a script does is counted, and some day the count will have a hole.  A
run that found it would be recovered by the next start, and would take that process down
as well, and so on for ever.

So while a run computes its name stands in a `Mark`, a small file that outlives the
process.  A start that finds a name there gives that run a strike.  A strike is not
proof: whoever kills servers hits some run or other.  Therefore

* it counts only while the run stands where it stood: at the same version of its log,
* a server that was stopped in peace, with the run alive, has forgiven it,
* a run with but one strike left is not tried before its server has lived for a while,
  so that servers which are killed every few seconds do not strike it out.

A run that is struck out is parked as CRASH_LOOP, and no start tries it again.
"""

import json
import mmap
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

import structlog

from starflow_backends.store import Store

log = structlog.get_logger()

STRIKES_MAX: Final = 3
_SPACE: Final = "strikes"
_SIZE: Final = 1024
_LENGTH_BYTES: Final = 2


class Place(NamedTuple):
    """Where a run stood: its key, and the version of its log."""

    run: str
    version: int


def script_name(script: tuple[str, bytes] | None) -> str:
    """Return the name of a run that has only a script, as yet."""
    return "" if script is None else f"script {script[0]}"


class Mark:
    """
    The run that computes now, in a file that outlives the process.

    It is written twice a turn, so it is memory: the kernel has it the moment that it is
    written, and keeps it when the process dies.  It says nothing of a power cut.
    """

    def __init__(self, path: Path) -> None:
        """
        Open the file, and make it if there is none.

        Raises:
            OSError: It cannot be had.
        """
        path.touch(mode=0o600)
        with path.open("r+b") as file:
            file.truncate(_SIZE)
            self._memory = mmap.mmap(file.fileno(), _SIZE)

    def enter(self, run: str, version: int) -> None:
        """*run* is about to compute."""
        name = f"{version} {run}".encode()[: _SIZE - _LENGTH_BYTES]
        end = _LENGTH_BYTES + len(name)
        # The length comes last: a name is there as a whole, or not at all.
        self._memory[_LENGTH_BYTES:end] = name
        self._memory[:_LENGTH_BYTES] = len(name).to_bytes(_LENGTH_BYTES, "big")

    def leave(self) -> None:
        """It has stopped to compute, and the process lives."""
        self._memory[:_LENGTH_BYTES] = bytes(_LENGTH_BYTES)

    def left_behind(self) -> Place | None:
        """Return which run computed when the process before this one died."""
        length = int.from_bytes(self._memory[:_LENGTH_BYTES], "big")
        name = self._memory[_LENGTH_BYTES : _LENGTH_BYTES + length]
        with suppress(ValueError):
            version, _, run = name.decode().partition(" ")
            return Place(run, int(version))
        return None

    def close(self) -> None:
        """Close the file; its server stops in peace."""
        self._memory.close()


class Strikes:
    """How often which runs took their process down, as the store keeps it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._counts: dict[Place, int] = {}

    async def open(self, mark: Mark | None) -> None:
        """
        Read the counts, and add what *mark* tells of the process before.

        Raises:
            StoreError: The store cannot be used.
        """
        for run, data in (await self._store.scan_records(_SPACE)).items():
            version, count = json.loads(data)
            if count:
                self._counts[Place(run, version)] = count
        struck = None if mark is None else mark.left_behind()
        if mark is not None:
            mark.leave()
        if struck is not None:
            count = self._counts.get(struck, 0) + 1
            log.error("run.struck", run=struck.run, version=struck.version, times=count)
            await self._keep(struck, count)

    async def forgive(self) -> None:
        """The server stops in peace, so nobody has taken it down."""
        for place in list(self._counts):
            await self._keep(place, 0)

    def count(self, run: str, version: int) -> int:
        """Return how often *run* took a process down where it stands."""
        return self._counts.get(Place(run, version), 0)

    async def pardon(self, run: str) -> None:
        """Forgive *run*, whatever it did."""
        for place in [place for place in self._counts if place.run == run]:
            await self._keep(place, 0)

    async def _keep(self, place: Place, count: int) -> None:
        data = json.dumps([place.version, count]).encode()
        await self._store.put_record(_SPACE, place.run, data)
        for other in [other for other in self._counts if other.run == place.run]:
            del self._counts[other]
        if count:
            self._counts[place] = count
