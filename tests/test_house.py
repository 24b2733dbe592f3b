"""Rules of the house that no linter knows, checked like any other behaviour.

The checker takes the root of a tree, so that the last tests here can show it trees
with a rule broken on purpose and see it speak up.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SERVICE = "service/starflow_service"
SDK = "sdk/python/starflow"
BACKENDS = "backends/starflow_backends"

FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 600

# The standard library as far as it neither waits nor looks at the world.  A list of
# what may be used, so that whatever is new has to be thought about.
PURE_STDLIB = frozenset(
    {
        "__future__", "abc", "array", "ast", "base64", "bisect", "builtins", "cmath",
        "codecs", "collections", "contextlib", "copy", "dataclasses", "difflib",
        "dis", "enum", "fractions", "functools", "gc", "hashlib", "heapq", "inspect",
        "itertools", "json", "keyword", "linecache", "math", "numbers", "operator",
        "re", "string", "struct", "sys", "textwrap", "token", "tokenize", "traceback",
        "types", "typing", "unicodedata", "warnings", "weakref",
    }
)  # fmt: skip

# Read as packages, but only ever the root of the repository in disguise.
ACCIDENTAL_PACKAGES = frozenset({"service", "backends", "sdk"})
OWN_PACKAGES = frozenset({"starflow", "starflow_service", "starflow_backends", "tests"})
THIRD_PARTY = frozenset(
    {
        "google", "greenlet", "grpc", "grpc_health", "grpc_reflection", "grpc_status",
        "jsonschema", "opentelemetry", "orjson", "prometheus_client", "pydantic",
        "pytest", "pytest_asyncio",
        "redis", "referencing", "structlog", "uvloop",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Room:
    """
    A directory, and what its modules may import.

    Of our own packages and of others only what `may_import` names: the rooms below it,
    never one above.  Of the standard library everything, or `PURE_STDLIB` if the room
    is pure.
    """

    directory: str
    may_import: frozenset[str]
    is_pure: bool = False
    # Only the modules of the directory itself: its packages are rooms of their own.
    is_flat: bool = False


GRPC = frozenset({"grpc", "grpc_health", "grpc_reflection", "grpc_status", "google"})

ROOMS = {
    "starlark": Room(
        f"{SERVICE}/starlark",
        frozenset({"starflow_service.starlark", "greenlet", "orjson"}),
        is_pure=True,
    ),
    "engine": Room(
        f"{SERVICE}/engine",
        frozenset({"starflow_service.engine", "starflow_service.starlark"}),
        is_pure=True,
    ),
    "runtime": Room(
        f"{SERVICE}/runtime",
        frozenset(
            {
                "starflow_service.runtime",
                "starflow_service.engine",
                "starflow_service.starlark",
                "starflow_backends.store",
                "starflow_backends.failpoints",
                "jsonschema",
                "referencing",
                "structlog",
            }
        ),
    ),
    "rpc": Room(
        f"{SERVICE}/rpc",
        GRPC
        | {
            "starflow_service.__version__",
            "starflow_service.rpc",
            "starflow_service.runtime",
            "starflow_service.engine",
            "starflow_service.starlark",
            "starflow.v1",
            "structlog",
        },
    ),
    "replicas": Room(
        f"{SERVICE}/replicas",
        GRPC
        | {
            "starflow_service.__version__",
            "starflow_service.replicas",
            "starflow_service.rpc",
            "starflow_service.runtime",
            "starflow_service.engine",
            "starflow_backends.store",
            "starflow_backends.shared",
            "starflow.v1",
            "structlog",
        },
    ),
    "store_tools": Room(
        f"{SERVICE}/store_tools",
        frozenset(
            {
                "starflow_service.store_tools",
                "starflow_service.rpc.codec",
                "starflow_service.runtime",
                "starflow_service.engine",
                "starflow_backends",
            }
        ),
    ),
    "app": Room(
        SERVICE,
        GRPC
        | {
            "starflow_service",
            "starflow_backends",
            "starflow.v1",
            "prometheus_client",
            "structlog",
            "uvloop",
        },
        is_flat=True,
    ),
    "backends": Room(BACKENDS, frozenset({"starflow_backends"})),
    "sdk": Room(SDK, GRPC | {"starflow"}),
    # Of the service it needs only the server that it starts.
    "testing": Room(
        f"{SDK}/testing", frozenset({"starflow", "starflow_service.embedded"})
    ),
}

# Narrower than the room, by file.
ONLY_HERE = {
    # A contract suite is made of tests, and a plugin of fixtures.
    "pytest": (
        f"{BACKENDS}/testing.py",
        f"{BACKENDS}/testing_finding.py",
        f"{BACKENDS}/testing_shared.py",
        f"{SDK}/_pytest_plugin.py",
    ),
    "pytest_asyncio": (
        f"{BACKENDS}/testing.py",
        f"{BACKENDS}/testing_shared.py",
        f"{SDK}/_pytest_plugin.py",
    ),
    "redis": (f"{BACKENDS}/redis_wire.py",),
    # For people who have it.
    "opentelemetry": (f"{SDK}/_tracing.py",),
}
# What the service may know of backends: what they promise, and how to fail them.
PROTOCOLS = frozenset(
    {
        "starflow_backends.store",
        "starflow_backends.shared",
        "starflow_backends.failpoints",
    }
)
# The modules of the service that know more of a backend than the protocol: they put a
# server together, of its own or within another program.
COMPOSITION_ROOTS = frozenset(
    f"{SERVICE}/{name}" for name in ("app.py", "embedded.py", "store_tools/cli.py")
)

# Where the other rules hold: everything that people write and read.
TREES = (SERVICE, BACKENDS, SDK, "scripts", "tests", "examples", "benchmarks")

# What a pure module could reach without an import.
IMPURE_BUILTINS = frozenset({"open", "input", "breakpoint", "__import__"})
WORDS_NOT_USED = re.compile(r"(?:^|_)(job|manager|helper|util)s?(?:_|$)")


def modules(root: Path, directory: str, *, is_flat: bool = False) -> Iterator[Path]:
    """The modules below *directory* that people wrote."""
    for path in sorted((root / directory).glob("*.py" if is_flat else "**/*.py")):
        if "_pb2" not in path.name:
            yield path


def modules_of(root: Path, room: Room) -> Iterator[Path]:
    """The modules of *room*, without those of rooms within it."""
    for path in modules(root, room.directory, is_flat=room.is_flat):
        place = path.relative_to(root).as_posix()
        within = (r.directory for r in ROOMS.values() if r is not room)
        if not any(
            place.startswith(f"{inner}/") and inner.startswith(f"{room.directory}/")
            for inner in within
        ):
            yield path


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def imported(tree: ast.Module, package: str) -> Iterator[tuple[int, str]]:
    """Line and full name of all that is imported, relative imports included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")[: -(node.level - 1) or None]
            base = [*parts, node.module] if node.level else [node.module]
            source = ".".join(name for name in base if name)
            yield from ((node.lineno, f"{source}.{a.name}") for a in node.names)


def package_of(path: Path, root: Path) -> str:
    """The dotted package that relative imports of the module start from."""
    parts = path.relative_to(root).parent.parts
    starts = [n for n, part in enumerate(parts) if part in OWN_PACKAGES]
    return ".".join(parts[starts[0] :]) if starts else ""


def is_in(name: str, packages: frozenset[str]) -> bool:
    return any(name == p or name.startswith(f"{p}.") for p in packages)


def may_import(room: Room, place: str, name: str) -> bool:
    top = name.partition(".")[0]
    if top in ONLY_HERE:
        return place in ONLY_HERE[top]
    if is_in(name, room.may_import):
        return True
    if top in OWN_PACKAGES | THIRD_PARTY | ACCIDENTAL_PACKAGES:
        return False
    return not room.is_pure or top in PURE_STDLIB


def broken_arrows(root: Path) -> Iterator[str]:
    for room in ROOMS.values():
        for path in modules_of(root, room):
            place = path.relative_to(root).as_posix()
            for line, name in imported(parsed(path), package_of(path, root)):
                is_concrete = name.startswith("starflow_backends") and not is_in(
                    name, PROTOCOLS
                )
                if not may_import(room, place, name) or (
                    is_concrete
                    and place.startswith(SERVICE)
                    and place not in COMPOSITION_ROOTS
                ):
                    yield f"{place}:{line} imports {name}"


def impure_calls(root: Path) -> Iterator[str]:
    for room in ROOMS.values():
        if not room.is_pure:
            continue
        for path in modules(root, room.directory):
            for node in ast.walk(parsed(path)):
                if (
                    isinstance(node, ast.Call)
                    and isinstance(node.func, ast.Name)
                    and node.func.id in IMPURE_BUILTINS
                ):
                    place = path.relative_to(root).as_posix()
                    yield f"{place}:{node.lineno} calls {node.func.id}"


def rooms_without_rules(root: Path) -> Iterator[str]:
    ruled = {root / room.directory for room in ROOMS.values()}
    for directory in sorted((root / SERVICE).glob("*/")):
        if any(directory.glob("**/*.py")) and directory not in ruled:
            yield f"{directory.relative_to(root).as_posix()} has no rules"


def too_long(root: Path) -> Iterator[str]:
    for directory in TREES:
        for path in modules(root, directory):
            place = path.relative_to(root).as_posix()
            lines = path.read_text().count("\n")
            if lines > FILE_LINES_MAX:
                yield f"{place} has {lines} lines"
            for node in ast.walk(parsed(path)):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    lines = (node.end_lineno or 0) - node.lineno + 1
                    if lines > FUNCTION_LINES_MAX:
                        yield f"{place}:{node.lineno} {node.name} has {lines} lines"


def without_docstring(root: Path) -> Iterator[str]:
    # The name of a test says what it is for.
    for directory in TREES:
        if directory == "tests":
            continue
        for path in modules(root, directory):
            tree = parsed(path)
            if tree.body and not ast.get_docstring(tree):
                yield f"{path.relative_to(root).as_posix()} does not say what it is for"


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def named_in_other_words(root: Path) -> Iterator[str]:
    for directory in TREES:
        for path in modules(root, directory):
            place = path.relative_to(root).as_posix()
            if WORDS_NOT_USED.search(path.stem):
                yield place
            for node in ast.walk(parsed(path)):
                if isinstance(
                    node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
                ) and WORDS_NOT_USED.search(snake(node.name)):
                    yield f"{place}:{node.lineno} {node.name}"


RULES = (
    broken_arrows,
    impure_calls,
    rooms_without_rules,
    too_long,
    without_docstring,
    named_in_other_words,
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_this_house_keeps_its_rules(rule):
    assert list(rule(ROOT)) == []


@pytest.mark.parametrize("name", ROOMS)
def test_a_room_is_where_the_rules_look_for_it(name):
    room = ROOMS[name]
    assert list(modules(ROOT, room.directory, is_flat=room.is_flat))


@pytest.mark.parametrize(
    ("place", "line"),
    [
        (f"{SERVICE}/engine/x.py", "import asyncio"),
        (f"{SERVICE}/engine/x.py", "from time import monotonic"),
        (f"{SERVICE}/engine/x.py", "import os.path"),
        (f"{SERVICE}/engine/x.py", "import greenlet"),
        (f"{SERVICE}/engine/x.py", "from starflow.v1 import event_pb2"),
        (f"{SERVICE}/engine/x.py", "from starflow_service.runtime import runner"),
        (f"{SERVICE}/engine/x.py", "from ..runtime import runner"),
        (f"{SERVICE}/engine/deep/x.py", "from ... import rpc"),
        (f"{SERVICE}/starlark/x.py", "import random"),
        (f"{SERVICE}/starlark/x.py", "from starflow_service import engine"),
        (f"{SERVICE}/runtime/x.py", "import grpc"),
        (f"{SERVICE}/runtime/x.py", "from google.protobuf import duration_pb2"),
        (f"{SERVICE}/runtime/x.py", "from starflow.v1 import event_pb2"),
        (f"{SERVICE}/starlark/x.py", "from starflow_service.runtime import types"),
        (f"{SERVICE}/runtime/x.py", "from starflow_service import rpc"),
        (f"{SERVICE}/runtime/x.py", "from starflow_backends import MemoryStore"),
        (f"{SERVICE}/rpc/x.py", "from starflow import Client"),
        (f"{SERVICE}/rpc/x.py", "import starflow"),
        (f"{SERVICE}/rpc/x.py", "from starflow_backends import store"),
        (f"{SERVICE}/config.py", "from starflow_backends.sqlite import SqliteStore"),
        (f"{SERVICE}/config.py", "import greenlet"),
        (f"{SERVICE}/app.py", "from starflow import Worker"),
        (f"{BACKENDS}/x.py", "import grpc"),
        (f"{BACKENDS}/x.py", "from starflow_service.engine import events"),
        (f"{BACKENDS}/x.py", "import pytest"),
        (f"{BACKENDS}/x.py", "import redis"),
        (f"{SDK}/x.py", "import starflow_service"),
        (f"{SDK}/x.py", "from starflow_service.embedded import Embedded"),
        (f"{SDK}/testing/x.py", "from starflow_service.runtime import runtime"),
        (f"{SDK}/testing/x.py", "from starflow_backends import MemoryStore"),
        (f"{SDK}/x.py", "import structlog"),
        (f"{SDK}/x.py", "import pytest"),
        (f"{SDK}/x.py", "import opentelemetry.trace"),
        (f"{SDK}/cli/x.py", "import starflow_backends"),
        (f"{SDK}/x.py", "from sdk.python import starflow"),
        (f"{SERVICE}/app.py", "import backends.starflow_backends"),
        (f"{SERVICE}/rpc/x.py", "if TYPE_CHECKING:\n    import starflow"),
    ],
)
def test_a_broken_arrow_is_seen(tmp_path, place, line):
    write(tmp_path, place, line)

    assert [found.partition(":")[0] for found in broken_arrows(tmp_path)] == [place]


@pytest.mark.parametrize(
    ("place", "line"),
    [
        (f"{SERVICE}/engine/x.py", "from starflow_service.starlark import Thread"),
        (f"{SERVICE}/engine/x.py", "from . import events"),
        (f"{SERVICE}/starlark/x.py", "import greenlet, math, collections.abc"),
        (f"{SERVICE}/runtime/x.py", "import asyncio, time, secrets"),
        (f"{SERVICE}/runtime/x.py", "from starflow_backends.store import Store"),
        (f"{SERVICE}/runtime/x.py", "from starflow_backends import store"),
        (f"{SERVICE}/rpc/x.py", "from starflow.v1 import event_pb2"),
        (f"{SERVICE}/rpc/x.py", "from starflow import v1"),
        (f"{SERVICE}/app.py", "from starflow_backends.sqlite import SqliteStore"),
        (f"{BACKENDS}/testing.py", "import pytest"),
        (f"{SDK}/x.py", "import grpc, threading"),
        (f"{SDK}/testing/x.py", "from starflow_service.embedded import Embedded"),
        (f"{SDK}/_pytest_plugin.py", "import pytest, pytest_asyncio"),
    ],
)
def test_an_allowed_arrow_is_not(tmp_path, place, line):
    write(tmp_path, place, line)

    assert list(broken_arrows(tmp_path)) == []


LONG_FUNCTION = "def f():\n" + "    x = 1\n" * FUNCTION_LINES_MAX


@pytest.mark.parametrize(
    ("rule", "place", "text"),
    [
        (impure_calls, f"{SERVICE}/engine/x.py", "text = open('/etc/passwd')"),
        (rooms_without_rules, f"{SERVICE}/attic/x.py", '"""Old things."""'),
        (too_long, f"{SDK}/x.py", "\n" * (FILE_LINES_MAX + 1)),
        (too_long, f"{BACKENDS}/x.py", LONG_FUNCTION),
        (without_docstring, "scripts/x.py", "x = 1"),
        (named_in_other_words, f"{SDK}/path_utils.py", ""),
        (named_in_other_words, f"{SDK}/x.py", "class RunManager: ..."),
        (named_in_other_words, f"{SDK}/x.py", "def helper(): ..."),
    ],
)
def test_a_broken_rule_is_seen(tmp_path, rule, place, text):
    write(tmp_path, place, text)

    assert len(list(rule(tmp_path))) == 1


def write(root: Path, place: str, text: str) -> None:
    path = root / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{text}\n" if text else "")
