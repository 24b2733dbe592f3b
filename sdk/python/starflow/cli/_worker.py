"""`starflow worker`: serves the modules of a Python file or module."""

import argparse
import asyncio
import importlib
import importlib.util
import json
import logging
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from starflow._client import Client
from starflow._function import Module
from starflow.cli import _exits

_BOUND = ("run_id", "task_id", "function", "attempt")
_OF_RECORDS = frozenset({*vars(logging.makeLogRecord({})), "message", "asctime"})


def work(options: argparse.Namespace) -> int:
    """Execute functions until the worker is told to stop."""
    modules = load(options.target)
    _set_up_logs(as_json=options.json)
    asyncio.run(_serve(modules, options))
    return _exits.OK


async def _serve(modules: list[Module], options: argparse.Namespace) -> None:
    from starflow._worker import Worker

    logger = logging.getLogger("starflow.worker")
    async with Client(options.address, namespace=options.namespace) as client:
        worker = Worker(
            client,
            modules=modules,
            concurrency=options.concurrency,
            processes=options.processes,
        )
        names = ", ".join(function.name for module in modules for function in module)
        logger.info("worker %s offers %s at %s", worker.id, names, options.address)
        await worker.run()
        logger.info("worker %s has ended", worker.id)


def load(target: str) -> list[Module]:
    """
    Return the modules that *target* names: FILE.py or a.b.c, and :attribute or none.

    Raises:
        CommandError: There is no such thing, or it holds no functions.
    """
    place, _, attribute = target.partition(":")
    namespace = vars(_import(place))
    if not attribute:
        candidates: Any = namespace.values()
    elif attribute in namespace:
        candidates = namespace[attribute]
    else:
        raise _exits.CommandError(f"{place} has no attribute {attribute!r}")
    if isinstance(candidates, Module):
        candidates = [candidates]
    if not isinstance(candidates, Iterable):
        candidates = []
    # By identity, because one module may have two names there.
    modules = {id(each): each for each in candidates if isinstance(each, Module)}
    found = [module for module in modules.values() if list(module)]
    if not found:
        raise _exits.CommandError(
            f"{target} holds no functions: make a module = starflow.Module('shop') and "
            "decorate them with @module.function"
        )
    return found


def _import(place: str) -> ModuleType:
    is_file = place.endswith(".py") or "/" in place
    path = Path(place)
    if is_file and not path.is_file():
        raise _exits.CommandError(f"there is no file {place}")
    # As `python FILE` and `python -m MODULE` do, so that its own imports work.
    sys.path.insert(0, str(path.resolve().parent if is_file else Path.cwd()))
    try:
        return _import_file(path) if is_file else importlib.import_module(place)
    except ModuleNotFoundError as error:
        if is_file or not place.startswith(error.name or " "):
            raise _exits.CommandError(_place_of(error, place)) from None
        fix = "give a file, or run this where the module is"
        raise _exits.CommandError(f"there is no module {place}: {fix}") from None
    except Exception as error:
        raise _exits.CommandError(_place_of(error, place)) from None


def _import_file(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses and type hints look their module up by name.
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def _place_of(error: Exception, place: str) -> str:
    """Return what went wrong, and the last line of the user's code that was in it."""
    said = f"{type(error).__name__}: {error}"
    if isinstance(error, SyntaxError):
        return f"{error.filename} line {error.lineno}: {said}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if "importlib" not in f.filename]
    last = own[-1] if own and own[-1].filename != __file__ else None
    where = f"{last.filename} line {last.lineno}" if last is not None else place
    return f"{where}: {said}"


def _set_up_logs(*, as_json: bool) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(_JsonLines() if as_json else _Lines())
    logging.basicConfig(level=logging.INFO, handlers=[handler])


class _Lines(logging.Formatter):
    """One line for people: time, level, message, and what is bound to the task."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:
        bound = [f"{name}={value}" for name, value in _bound(record).items()]
        return " ".join([super().formatMessage(record), *bound])


class _JsonLines(logging.Formatter):
    """One JSON object per record."""

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        fields |= _bound(record)
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        # A field may be anything.
        return json.dumps(fields, ensure_ascii=False, default=str)


def _bound(record: logging.LogRecord) -> dict[str, Any]:
    """Return what a record carries beside its message: the task's names first."""
    others = sorted(vars(record).keys() - _OF_RECORDS - set(_BOUND))
    names = [*(name for name in _BOUND if hasattr(record, name)), *others]
    return {name: getattr(record, name) for name in names}
