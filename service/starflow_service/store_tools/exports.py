"""Writes the runs of a store, with what they need, to a file."""

from collections.abc import Callable

from starflow_backends.store import CorruptError, Store, StoredRun
from starflow_service.store_tools import lines
from starflow_service.store_tools.lines import FORM, Writer
from starflow_service.store_tools.progress import Progress
from starflow_service.store_tools.runs import all_events, all_runs

# Not ``server``, which is secret: calls that workers hold are handed out anew.
SPACES = ("script", "function", "namespace")

Wanted = Callable[[str, StoredRun], bool]


class DamagedError(Exception):
    """A run cannot be read; what was written up to there is of no use."""

    def __init__(self, error: CorruptError) -> None:
        super().__init__(f"{error}: starflow store check tells more")


async def export_runs(store: Store, writer: Writer, is_wanted: Wanted) -> Progress:
    """
    Write the runs that are wanted; return how many they were.

    Raises:
        DamagedError: One of them cannot be read.
    """
    progress = Progress("exported")
    writer.write({"export": FORM, "store": store.kind})
    try:
        await _export_records(store, writer)
        async for key in all_runs(store):
            stored = await store.load(key)
            if stored is None or not is_wanted(key, stored):
                continue
            writer.write(lines.run_line(key, stored))
            async for event in all_events(store, key, stored.version):
                writer.write({"e": lines.text_of(event)})
            progress.add(stored.version)
    except CorruptError as error:
        raise DamagedError(error) from error
    writer.write({"end": [progress.runs, progress.events]})
    return progress


async def _export_records(store: Store, writer: Writer) -> None:
    for space in SPACES:
        for key, value in sorted((await store.scan_records(space)).items()):
            writer.write({"record": [space, key, lines.text_of(value)]})
    for name, state in sorted((await store.queues()).items()):
        if isinstance(state, CorruptError):
            raise state
        writer.write(lines.queue_line(name, state.limits))
