"""The names of the keys in Redis, and what their values look like.

All keys of a partition have its tag, `{sf:PREFIX:PARTITION}`, so that log, index and
owner of a run are in one slot of a cluster and change in one script:

========================== ====== ======================================================
key                        type   what it holds
========================== ====== ======================================================
``{sf:P}:store``           hash   layout, number of partitions, id, made: written once
``{sf:P}:members``         hash   the servers, each with its lease, start, address
``{sf:P}:record:SPACE``    hash   the records of a space; scripts are in ``script``
``{sf:P}:queues``          zset   NAMESPACE/QUEUE of every queue, all with score 0
``{sf:P:q:NAME}:queue``    hash   max, tokens_per, period_us, burst, crc; tokens, at_us
``{sf:P:q:NAME}:permits``  zset   holders of permits, by when they end, in microseconds
``{sf:P:N}:partition``     hash   epoch, owner, lease_ms, until_ms; appends, claimed;
                                  runs; store: the id of the store
``{sf:P:N}:runs``          zset   ``PHASE:RUN`` of every run, all with score 0
``{sf:P:N}:timers``        zset   ``DUE CRC RUN\\0NAME`` of every timer, with score 0
``{sf:P:N}:found``         zset   ``TERM TIME RUN`` of every run's entry, with score 0
``{sf:P:N}:run:RUN``       hash   version, phase, append, note, crc; timer:*; attempt:*;
                                  entry; lost, if the end of its log was lost
``{sf:P:N}:log:RUN``       stream event VERSION at id ``0-VERSION``, with its crc
``{sf:P:N}:gone:RUN``      string of a run that was deleted; it expires
========================== ====== ======================================================

Sets whose members all have score 0 are kept in the order of their members.  So times
are written with leading zeros; as scores, which are doubles, they would be rounded.

Every value has a CRC-32 that starts from that of its *place*, the names under which it
is found: what turns up in another's place is as wrong as what has a flipped bit.
"""

from dataclasses import dataclass
from zlib import crc32

from starflow_backends.store import CorruptError

# One more with each change that an older release could not read.
LAYOUT = 2
PARTITIONS = 16
PARTITIONS_MAX = 1024

_CRC_WIDTH = 8
_DUE_WIDTH = 20


def crc_of(place: str, value: bytes = b"") -> str:
    """Return the checksum of *value* as the contents of *place*, in hexadecimal."""
    return f"{crc32(value, crc32(place.encode())):08x}"


def head_crc(run: str, version: int, phase: int, append_id: str, note: bytes) -> str:
    """Return the checksum of a run's head."""
    return crc_of(f"head\0{run}\0{version}\0{phase}\0{append_id}", note)


def event_crc(run: str, version: int, event: bytes) -> str:
    """Return the checksum of an event."""
    return crc_of(f"event\0{run}\0{version}", event)


@dataclass(frozen=True, slots=True)
class PartitionKeys:
    """The keys of a partition that are not those of a run."""

    partition: bytes
    runs: bytes
    timers: bytes
    found: bytes
    # Followed by the run.
    run: bytes
    log: bytes
    gone: bytes

    @property
    def sets(self) -> tuple[bytes, bytes, bytes, bytes]:
        """The keys that are there, or may be, whatever runs there are."""
        return self.partition, self.runs, self.timers, self.found


class Keys:
    """The keys of one store."""

    def __init__(self, prefix: str, partitions: int) -> None:
        self.prefix = prefix
        self.partitions = [self._partition(n) for n in range(partitions)]
        self.store = store_key(prefix)
        self.members = f"{{sf:{prefix}}}:members".encode()
        self.queues = f"{{sf:{prefix}}}:queues".encode()

    def of_run(self, run: bytes) -> PartitionKeys:
        """Return the keys of the partition that *run* belongs to."""
        return self.partitions[self.number_of(run)]

    def number_of(self, run: bytes) -> int:
        """Return the number of the partition that *run* belongs to."""
        return crc32(run) % len(self.partitions)

    def records(self, space: str) -> bytes:
        """Return the key of the records of *space*."""
        return f"{{sf:{self.prefix}}}:record:{space}".encode()

    def of_queue(self, name: str) -> list[bytes]:
        """Return the key of a queue, and that of its permits."""
        tag = f"{{sf:{self.prefix}:q:{name}}}"
        return [f"{tag}:queue".encode(), f"{tag}:permits".encode()]

    def _partition(self, number: int) -> PartitionKeys:
        tag = f"{{sf:{self.prefix}:{number}}}"
        names = ("partition", "runs", "timers", "found", "run:", "log:", "gone:")
        return PartitionKeys(*(f"{tag}:{name}".encode() for name in names))


def store_key(prefix: str) -> bytes:
    """Return the key that every store has, however many partitions it has."""
    return f"{{sf:{prefix}}}:store".encode()


# Timers: in the run's hash as `DUE CRC`, in the set of timers with run and name after.


def timer_value(run: str, name: str, due_ns: int) -> bytes:
    """Return what the run's hash holds of a timer."""
    crc = crc_of(f"timer\0{run}\0{name}\0{due_ns}")
    return f"{due_ns:0{_DUE_WIDTH}d} {crc}".encode()


def due_of(run: str, name: str, value: bytes) -> int:
    """
    Return when a timer is due.

    Raises:
        CorruptError: It is damaged.
    """
    digits = value[:_DUE_WIDTH]
    if digits.isdigit() and value == timer_value(run, name, int(digits)):
        return int(digits)
    raise CorruptError(run, 0, f"timer {name} is damaged")


def timer_of(member: bytes) -> tuple[str, str, int]:
    """
    Return run, name and due time of a member of the set of timers.

    Raises:
        CorruptError: It is damaged.
    """
    end = _DUE_WIDTH + 1 + _CRC_WIDTH
    run, _, name = member[end + 1 :].decode(errors="replace").rpartition("\0")
    return run, name, due_of(run, name, member[:end])


# Attempts and records: the checksum, then the value.


def attempt_value(run: str, version: int, value: bytes) -> bytes:
    """Return what the run's hash holds of an attempt record."""
    return crc_of(f"attempt\0{run}\0{version}", value).encode() + value


def attempt_of(run: str, version: str, stored: bytes) -> bytes:
    """
    Return an attempt record.

    Raises:
        CorruptError: It is damaged.
    """
    value = stored[_CRC_WIDTH:]
    if version.isdigit() and stored == attempt_value(run, int(version), value):
        return value
    raise CorruptError(run, 0, f"the record of the attempts of {version} is damaged")


def lost_value(run: str, version: int) -> bytes:
    """Return what the run's hash holds if it lost events, of *version* that it had."""
    return f"{crc_of(f'lost{chr(0)}{run}{chr(0)}{version}')}{version}".encode()


def lost_of(run: str, stored: bytes) -> int:
    """
    Return the version that a run had.

    Raises:
        CorruptError: It is damaged.
    """
    version = stored[_CRC_WIDTH:]
    if version.isdigit() and stored == lost_value(run, int(version)):
        return int(version)
    raise CorruptError(run, 0, "the mark of its loss is damaged")


def record_value(space: str, key: str, value: bytes) -> bytes:
    """Return what the hash of a space holds of a record."""
    return crc_of(f"record\0{space}\0{key}", value).encode() + value


def record_of(space: str, key: str, stored: bytes) -> bytes:
    """
    Return a record.

    Raises:
        CorruptError: It is damaged.
    """
    value = stored[_CRC_WIDTH:]
    if stored != record_value(space, key, value):
        raise CorruptError("", 0, f"record {key} in {space} is damaged")
    return value
