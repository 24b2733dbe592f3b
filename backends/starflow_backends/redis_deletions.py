"""Deletes runs."""

from starflow_backends import redis_script as script
from starflow_backends.redis_leases import Leases
from starflow_backends.redis_link import Link
from starflow_backends.store import ConflictError, CorruptError

_MS_NS = 1_000_000


class Deletions:
    """Deletes runs, and refuses their keys for a while."""

    def __init__(self, link: Link, leases: Leases) -> None:
        self._link = link
        self._leases = leases

    async def delete(self, run: str, expected_version: int, tombstone_ns: int) -> bool:
        """Do what `Store.delete` promises."""
        link, name = self._link, run.encode()
        number = link.keys.number_of(name)
        of = link.keys.partitions[number]
        places = [of.partition, of.runs, of.timers, of.run + name, of.log + name]
        places += (of.found, of.gone + name)
        refused_ms = -(-tombstone_ns // _MS_NS)
        version = b"%d" % expected_version
        self._leases.check(number)
        arguments = [self._leases.epochs[number], name, version, b"%d" % refused_ms]
        first, second = await link.run(script.DELETE, places, arguments, run)
        if isinstance(first, int):
            self._leases.seen(number, first)
            return bool(second)
        if first == b"owner":
            raise self._leases.doubt(number, second.decode(errors="replace"))
        if not second.isdigit():
            raise CorruptError(run, 0, "its version is no number")
        raise ConflictError(run, expected_version, int(second))
