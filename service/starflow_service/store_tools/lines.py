"""The file that runs are exported to: lines of JSON, each with a checksum.

A line is the CRC-32 of its JSON text as eight hexadecimal digits, a space, and the
text.  Bytes are in base64.  In this order:

* ``{"export": 1, "store": KIND}``: what the file is, and the version of its form;
* ``{"record": [SPACE, KEY, VALUE]}`` and ``{"queue": [NAME, ...]}``, for each record
  and each queue with limits;
* for each run ``{"run": KEY, "events": N, ...}`` with its index, then its N events,
  ``{"e": BYTES}``;
* ``{"end": [RUNS, EVENTS]}``: a file without it was cut off.

A name that ends in ``.gz`` is read and written compressed; ``-`` is standard input or
output.
"""

import base64
import contextlib
import gzip
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, cast
from zlib import crc32

from starflow_backends.store import Entry, Phase, QueueLimits, QueueRate, StoredRun

FORM = 1


class FileError(Exception):
    """The file is none of ours, damaged, or cut off; the message says where."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(f"line {line}: {problem}")


class Writer:
    """Writes the lines of one file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, line: Mapping[str, Any]) -> None:
        """Write one line."""
        text = json.dumps(line, separators=(",", ":")).encode()
        self._file.write(b"%08x %s\n" % (crc32(text), text))


class Reader:
    """Reads the lines of one file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._number = 0

    def next(self) -> dict[str, Any] | None:
        """
        Return the next line, or None at the end of the file.

        Raises:
            FileError: It is not what was written.
        """
        self._number += 1
        try:
            raw = self._file.readline()
        except (OSError, EOFError) as error:
            raise self.error(f"it cannot be read: {error}") from error
        if not raw:
            return None
        checksum, _, text = raw.rstrip(b"\n").partition(b" ")
        if checksum != b"%08x" % crc32(text):
            raise self.error("its checksum does not match")
        line = json.loads(text)
        if not isinstance(line, dict):
            raise self.error("it is no line of an export")
        return line

    def error(self, problem: str) -> FileError:
        """Return what to raise for a *problem* with the line that was read last."""
        return FileError(self._number, problem)


@contextlib.contextmanager
def writing(path: str) -> Iterator[Writer]:
    """
    Open a file that must not be there yet.

    Raises:
        FileExistsError: It is there.
    """
    if path == "-":
        yield Writer(sys.stdout.buffer)
        sys.stdout.buffer.flush()
        return
    with Path(path).open("xb") as file:
        if path.endswith(".gz"):
            with gzip.GzipFile(fileobj=file, mode="wb", filename="", mtime=0) as packed:
                yield Writer(cast("BinaryIO", packed))
        else:
            yield Writer(file)


@contextlib.contextmanager
def reading(path: str) -> Iterator[Reader]:
    """Open a file to be read."""
    if path == "-":
        yield Reader(sys.stdin.buffer)
    elif path.endswith(".gz"):
        with gzip.open(path, "rb") as packed:
            yield Reader(cast("BinaryIO", packed))
    else:
        with Path(path).open("rb") as file:
            yield Reader(file)


# What a line holds


def text_of(data: bytes) -> str:
    """Return *data* as it is written."""
    return base64.b64encode(data).decode()


def bytes_of(text: str) -> bytes:
    """Return the bytes that `text_of` made *text* of."""
    return base64.b64decode(text, validate=True)


def run_line(key: str, stored: StoredRun) -> dict[str, Any]:
    """Return the line that begins a run."""
    line: dict[str, Any] = {
        "run": key,
        "events": stored.version,
        "phase": stored.phase.name,
    }
    if stored.timers:
        line["timers"] = dict(stored.timers)
    if stored.attempts:
        attempts = stored.attempts.items()
        line["attempts"] = {str(v): text_of(value) for v, value in attempts}
    if stored.note:
        line["note"] = text_of(stored.note)
    if stored.entry:
        terms = [list(pair) for pair in stored.entry.terms.items()]
        line["entry"] = [terms, text_of(stored.entry.summary)]
    return line


def stored_run(line: Mapping[str, Any]) -> StoredRun:
    """Return the index that `run_line` wrote."""
    entry = line.get("entry")
    return StoredRun(
        line["events"],
        Phase[line["phase"]],
        line.get("timers", {}),
        {int(v): bytes_of(value) for v, value in line.get("attempts", {}).items()},
        bytes_of(line.get("note", "")),
        entry and Entry({t: time_ns for t, time_ns in entry[0]}, bytes_of(entry[1])),
    )


def queue_line(name: str, limits: QueueLimits) -> dict[str, Any]:
    """Return the line of a queue."""
    rate = limits.rate
    parts = None if rate is None else [rate.tokens, rate.period_us, rate.burst]
    return {"queue": [name, limits.max_in_flight, parts]}


def queue_of(value: list[Any]) -> tuple[str, QueueLimits]:
    """Return the queue that `queue_line` wrote."""
    name, max_in_flight, rate = value
    return name, QueueLimits(max_in_flight, rate and QueueRate(*rate))
