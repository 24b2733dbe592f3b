"""Everything that can be found out about a script without running it.

`compile_program` stops at what keeps a script from being run, and is quick.  This looks
at all of it: beyond a fault of syntax, and at what can only go wrong later.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import NamedTuple

from starflow_service.starlark.builtins import UNIVERSE
from starflow_service.starlark.bundle import Bundle
from starflow_service.starlark.diagnostics import Diagnostic, ScriptSyntaxError
from starflow_service.starlark.facts import Facts
from starflow_service.starlark.lints import lint
from starflow_service.starlark.loading import Sources, in_file
from starflow_service.starlark.parser import Reading, read
from starflow_service.starlark.program import Place, main_fault, module_members
from starflow_service.starlark.resolver import Files, Resolution, examine
from starflow_service.starlark.syntax import Call, Expr

# What the request of a call is called, and where it stands.
_REQUEST = "req"
_REQUEST_PLACE = 1
# Where functions that call others take the function and its request.
_CALLERS = {
    ("flow", "call"): (1, 2),
    ("flow", "catch"): (0, 2),
    ("flow", "start"): (1, 2),
}


class Request(NamedTuple):
    """What a call of a worker's function is given, as the text shows it."""

    function: str
    value: Expr
    file: str


@dataclass(slots=True)
class Checked:
    """
    The findings about a script, by file and in the order of the text.

    `functions` are the dotted names of the host's functions that it mentions, each with
    its first place; `known` are those that the host knows.
    """

    known: Collection[str] = ()
    findings: list[Diagnostic] = field(default_factory=list)
    functions: dict[str, Place] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)

    def sort(self, entry: str) -> None:
        """Put the findings into order, those of the file *entry* first."""
        self.findings.sort(key=lambda each: (each.file != entry, each.file, each.pos))


def check(
    source: str | Bundle,
    *,
    filename: str = "script.star",
    known: Collection[str] = (),
) -> Checked:
    """
    Look at a script, whether it can be compiled or not; pure.

    *known* are functions of the host, for suggestions.
    """
    checked = Checked(known=known)
    if isinstance(source, Bundle):
        _check_bundle(checked, source)
        checked.sort(source.entry)
    else:
        _check_file(checked, source, filename, is_entry=True)
        checked.sort("")
    return checked


def _check_bundle(checked: Checked, bundle: Bundle) -> None:
    sources = Sources(bundle)
    paths = {file.path for file in sources.files}
    broken = sorted({error.file for error in sources.errors} - paths)
    # Of a broken file the errors come from a closer look.
    checked.findings += [error for error in sources.errors if error.file in paths]
    checked.findings += sources.unused()
    exported: dict[str, list[str] | None] = {}
    for file in sources.files:
        files = {name: exported.get(path) for name, path in file.loads.items()}
        is_entry = file.path == bundle.entry
        resolution = _check_file(
            checked,
            file.text,
            file.path,
            files=files,
            file=file.path,
            is_entry=is_entry,
        )
        exported[file.path] = resolution.exported() if resolution else None
    for path in broken:
        text, is_entry = bundle.sources[path], path == bundle.entry
        _check_file(checked, text, path, files={}, file=path, is_entry=is_entry)


def _check_file(
    checked: Checked,
    text: str,
    name: str,
    *,
    is_entry: bool,
    files: Files | None = None,
    file: str = "",
) -> Resolution | None:
    """Add what there is to say about one file; *file* is its name in findings."""
    try:
        reading = read(text, name)
    except ScriptSyntaxError as error:
        checked.findings += in_file(file, error.diagnostics)
        return None
    resolution, errors = examine(
        reading.file,
        UNIVERSE,
        module_members(),
        files,
        lost=reading.lost,
        known=checked.known,
    )
    fault = main_fault(resolution)
    if is_entry and fault is not None and "main" not in reading.lost:
        errors.append(fault)
    facts = Facts(reading.file, lost=reading.lost)
    warnings = lint(facts, is_sound=not (reading.errors or errors))
    found = _merged(reading, errors, [*resolution.warnings, *warnings])
    checked.findings += in_file(file, found)
    for path, pos in resolution.functions.items():
        checked.functions.setdefault(path, Place(file, pos))
    checked.requests += _requests(facts, file)
    return resolution


def _merged(
    reading: Reading, errors: list[Diagnostic], warnings: list[Diagnostic]
) -> list[Diagnostic]:
    """Return all findings, of warnings one for each place at most."""
    # What is said about a place first says most: the rest follows from it.
    told = {finding.pos for finding in reading.errors}
    findings = reading.findings + [each for each in errors if each.pos not in told]
    told.update(finding.pos for finding in findings)
    for each in warnings:
        if each.pos not in told:
            told.add(each.pos)
            findings.append(each)
    return findings


def _requests(facts: Facts, file: str) -> list[Request]:
    found = []
    for function in facts.functions:
        for part in function.expressions():
            if not isinstance(part, Call):
                continue
            path, place = _called(facts, part)
            value = _request_of(part, place) if path else None
            if value is not None:
                found.append(Request(path, value, file))
    return found


def _called(facts: Facts, call: Call) -> tuple[str, int]:
    """Return the worker's function that a call leads to, and its request's place."""
    path = facts.host_path(call.function)
    member = facts.member(call.function)
    if path or member not in _CALLERS:
        return path, _REQUEST_PLACE
    function, request = _CALLERS[member]
    for place, argument in enumerate(call.arguments[: function + 1]):
        if place == function and argument.kind == "positional":
            return facts.host_path(argument.value), request
    return "", request


def _request_of(call: Call, request_place: int) -> Expr | None:
    for place, argument in enumerate(call.arguments):
        if argument.kind in {"star", "starstar"}:
            return None
        is_request = argument.kind == "positional" and place == request_place
        if is_request or argument.name == _REQUEST:
            return argument.value
    return None
