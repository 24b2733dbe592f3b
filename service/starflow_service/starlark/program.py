"""A compiled script: made once, shared by all its runs."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from starflow_service.starlark.binding import script_signature
from starflow_service.starlark.builtins import MODULES, UNIVERSE
from starflow_service.starlark.bundle import Bundle
from starflow_service.starlark.codegen import generate
from starflow_service.starlark.codegen_scope import (
    LEAN_CHARACTERS,
    UNCOUNTED_FUNCTIONS_MAX,
    TooComplex,
    Unit,
)
from starflow_service.starlark.diagnostics import (
    Diagnostic,
    ScriptSyntaxError,
    bounded,
)
from starflow_service.starlark.loading import (
    SourceFile,
    Sources,
    in_file,
    shared_names,
)
from starflow_service.starlark.parser import parse
from starflow_service.starlark.pysyntax import Operand
from starflow_service.starlark.remains import WORTH
from starflow_service.starlark.resolver import Resolution, resolve
from starflow_service.starlark.support import OPERATIONS
from starflow_service.starlark.syntax import Load, Pos
from starflow_service.starlark.trace import METER
from starflow_service.starlark.values import freeze

if TYPE_CHECKING:
    from starflow_service.starlark.meter import Meter

MAIN: Final = "main!"

Accesses = Mapping[Pos, tuple[Operand, Operand]]


class Place(NamedTuple):
    """A place in a script; `file` is empty if it has only one."""

    file: str
    pos: Pos


class Imported(NamedTuple):
    """What a load of another file binds."""

    local: str
    path: str
    exported: str


@dataclass(frozen=True, slots=True)
class CompiledFile:
    """
    What one file means, apart from any run of it.

    `accesses` says which variables compiled code indexes inline, and where, for the
    messages of those that fail.
    """

    path: str
    code: CodeType
    builtins: Mapping[str, Any]
    flags: tuple[str, ...]
    global_names: tuple[str, ...]
    imports: tuple[Imported, ...]
    accesses: Accesses

    def execute(
        self, m: "Meter", executed: Mapping[str, Mapping[str, Any]]
    ) -> dict[str, Any]:
        """
        Execute the top level, freeze the globals and return them.

        *executed* are the globals of the files before this one.
        """
        variables: dict[str, Any] = {
            **dict.fromkeys(self.flags, False),
            METER: m,
            "!cap": m.limits.max_elements,
            "__builtins__": self.builtins,
        }
        m.globals.append(variables)
        if self.flags:
            m.branches.flagged.append((variables, self.flags))
        for local, path, exported in self.imports:
            variables[f"l!{local}"] = executed[path][f"{exported}!"]
        FunctionType(self.code, variables)()
        for name in self.global_names:
            freeze(variables.get(name), m.linger)
        if m.limits.max_allocated_bytes - m.bytes > WORTH:
            # They go when the run ends.
            m.remains += map(variables.get, self.global_names)
        return variables


@dataclass(frozen=True, slots=True)
class Program:
    """
    What a script means, apart from any run of it.

    `files` are in the order of execution, the one with `main` last.  `functions` are
    the dotted names of the host's functions that they mention, each with its first
    place.
    """

    files: tuple[CompiledFile, ...]
    functions: Mapping[str, Place]
    warnings: tuple[Diagnostic, ...]

    def execute(self, m: "Meter") -> Any:
        """Execute all files once and return the function `main`."""
        executed: dict[str, dict[str, Any]] = {}
        for file in self.files:
            executed[file.path] = file.execute(m, executed)
        return executed[self.files[-1].path][MAIN]

    def access(self, path: str, pos: Pos) -> tuple[Operand, Operand] | None:
        """Return the owner and the index that the file *path* accesses at *pos*."""
        for file in self.files:
            if file.path == path:
                return file.accesses.get(pos)
        return None


def compile_program(source: str, *, filename: str = "script.star") -> Program:
    """
    Compile a script of one file; pure, and the same for the same text.

    Raises:
        ScriptSyntaxError: it is not a program, or has no `main(ctx, input)`.
    """
    file = SourceFile(filename, source, parse(source, filename))
    resolution = resolve(file.tree, UNIVERSE, module_members())
    if fault := main_fault(resolution):
        raise ScriptSyntaxError(filename, [fault])
    functions = {name: Place("", pos) for name, pos in resolution.functions.items()}
    compiled = _Compiler([file]).compile(file, resolution)
    return Program((compiled,), functions, tuple(resolution.warnings))


def compile_bundle(bundle: Bundle) -> Program:
    """
    Compile a script of several files; pure, and the same for the same bundle.

    The entry must be among the sources.

    Raises:
        ScriptSyntaxError: it is not a program, or its entry has no `main(ctx, input)`.
            All findings of all files that can be found.
    """
    sources = Sources(bundle)
    errors = sources.errors
    resolutions = _resolutions(sources, errors)
    entry = resolutions.get(bundle.entry)
    if entry is not None and (fault := main_fault(entry)):
        errors += in_file(bundle.entry, [fault])
    if errors:
        errors.sort(key=lambda each: (each.file != bundle.entry, each.file, each.pos))
        raise ScriptSyntaxError(bundle.entry, bounded(errors))
    compiler = _Compiler(sources.files)
    functions: dict[str, Place] = {}
    warnings: list[Diagnostic] = []
    compiled: list[CompiledFile] = []
    for file in sources.files:
        found = resolutions[file.path]
        for name, pos in found.functions.items():
            functions.setdefault(name, Place(file.path, pos))
        warnings += in_file(file.path, found.warnings)
        compiled.append(compiler.compile(file, found, file=file.path))
    return Program(tuple(compiled), functions, (*warnings, *sources.unused()))


def _resolutions(sources: Sources, errors: list[Diagnostic]) -> dict[str, Resolution]:
    """Resolve the files that can be, and add what is wrong with the others."""
    resolutions: dict[str, Resolution] = {}
    members = module_members()
    for file in sources.files:
        exported = {
            name: resolutions[path].exported() if path in resolutions else None
            for name, path in file.loads.items()
        }
        try:
            resolution = resolve(file.tree, UNIVERSE, members, exported)
        except ScriptSyntaxError as error:
            errors += in_file(file.path, error.diagnostics)
        else:
            resolutions[file.path] = resolution
    return resolutions


def module_members() -> Mapping[str, Collection[str]]:
    """Return what a load can take of each module."""
    return {name: tuple(module.members) for name, module in MODULES.items()}


class _Compiler:
    """Compiles files, as parts of one script."""

    def __init__(self, files: list[SourceFile]) -> None:
        # Every function is spelt with one of these words: this counts enough of them.
        functions = sum(f.text.count("def") + f.text.count("lambda") for f in files)
        self._deep = functions > UNCOUNTED_FUNCTIONS_MAX
        self._lean = sum(len(file.text) for file in files) > LEAN_CHARACTERS
        self._shared = shared_names(files)

    def compile(
        self, source: SourceFile, resolution: Resolution, *, file: str = ""
    ) -> CompiledFile:
        """
        Return the compiled *source*; *file* is its name in findings.

        Raises:
            ScriptSyntaxError: it is too complex for us or for Python.
        """
        code, unit = self._generated(source, resolution, file)
        return CompiledFile(
            path=source.path,
            code=code,
            builtins={**OPERATIONS, **unit.constants},
            flags=tuple(unit.flags),
            global_names=tuple(f"{name}!" for name in resolution.globals),
            imports=tuple(_imports(source, resolution)),
            accesses=unit.accesses,
        )

    def _generated(
        self, source: SourceFile, resolution: Resolution, file: str
    ) -> tuple[CodeType, Unit]:
        pos, reason = Pos(1, 1), "too many nested or too large parts"
        try:
            return generate(
                source.tree,
                resolution.globals,
                UNIVERSE,
                MODULES,
                deep=self._deep,
                lean=self._lean,
                shared=self._shared[source.path],
            )
        except TooComplex as error:
            pos, reason = error.pos, error.reason
        except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
            # Only Python's own limits are left as a reason, and its texts are not for
            # the script's author.
            pass
        hint = "split deeply nested loops and expressions into functions"
        message = f"script too complex: {reason}"
        finding = Diagnostic("error", "TOO_COMPLEX", message, pos, hint, file)
        raise ScriptSyntaxError(source.path, [finding])


def _imports(source: SourceFile, resolution: Resolution) -> list[Imported]:
    return [
        Imported(binding.local.name, source.loads[load.module], binding.exported)
        for load in resolution.loads
        if isinstance(load, Load) and load.module in source.loads
        for binding in load.bindings
    ]


def main_fault(resolution: Resolution) -> Diagnostic | None:
    """Return why a script cannot be called as `main(ctx, input)`, or None."""
    main = resolution.main
    if main is None:
        message = "script has no function main"
        hint = "define `def main(ctx, input):` at the top level"
        return Diagnostic("error", "NO_MAIN", message, Pos(1, 1), hint)
    if not script_signature(main.parameters).accepts(2, []):
        message = "main must take two arguments, (ctx, input)"
        hint = "write `def main(ctx, input):`"
        return Diagnostic("error", "MAIN_ARITY", message, main.start, hint)
    return None
