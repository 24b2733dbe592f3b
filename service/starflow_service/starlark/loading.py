"""Which files a program is made of, and the order in which they are executed.

A file is executed after the files it loads, each once, in the order of their loads.  So
what it loads is complete and frozen when its own first line runs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from starflow_service.starlark.bundle import Bundle, PathError, is_file, loaded_path
from starflow_service.starlark.diagnostics import Diagnostic, ScriptSyntaxError
from starflow_service.starlark.parser import parse
from starflow_service.starlark.shape import size
from starflow_service.starlark.spelling import nearest
from starflow_service.starlark.syntax import File, Load, Pos

_LISTED_MAX: Final = 20

# Of all files together: compiling a file of the most nodes takes a second.
NODES_MAX: Final = 100_000


@dataclass(slots=True)
class SourceFile:
    """
    A parsed file.

    `loads` are the paths of the files it loads, by what its loads call them: those
    that exist.
    """

    path: str
    text: str
    tree: File
    loads: dict[str, str] = field(default_factory=dict)


class Sources:
    """
    The files of a bundle that its entry reaches.

    `files` are in the order of execution, the entry last; a file that could not be
    parsed is not among them.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.files: list[SourceFile] = []
        self.errors: list[Diagnostic] = []
        self._nodes_left = NODES_MAX
        self._sources = bundle.sources
        # The files that were visited, and those among them that are being visited.
        self._visited: set[str] = set()
        self._chain: list[str] = []
        self._visit(bundle.entry)

    def unused(self) -> list[Diagnostic]:
        """Return a warning for each file that nobody loads."""
        return [
            Diagnostic(
                "warning",
                "UNUSED_FILE",
                f"{path} is never loaded",
                Pos(1, 1),
                "leave it out of the bundle, or load it",
                path,
            )
            for path in sorted(self._sources.keys() - self._visited)
        ]

    def _visit(self, path: str) -> None:
        self._visited.add(path)
        if self._nodes_left < 0:
            return
        text = self._sources[path]
        try:
            tree = parse(text, path)
        except ScriptSyntaxError as error:
            self.errors += in_file(path, error.diagnostics)
            return
        self._nodes_left -= size(tree)
        if self._nodes_left < 0:
            message = f"bundle too long: more than {NODES_MAX} syntax nodes in all"
            found = Diagnostic("error", "LIMIT", message, Pos(1, 1), file=path)
            self.errors.append(found)
            return
        file = SourceFile(path, text, tree)
        self._chain.append(path)
        for statement in tree.body:
            if isinstance(statement, Load) and is_file(statement.module):
                self._follow(file, statement)
        self._chain.pop()
        self.files.append(file)

    def _follow(self, file: SourceFile, load: Load) -> None:
        try:
            path = loaded_path(load.module, file.path)
        except PathError as error:
            self._error(file, load, str(error))
            return
        if path not in self._sources:
            self._missing(file, load, path)
            return
        if path in self._chain:
            cycle = " -> ".join([*self._chain[self._chain.index(path) :], path])
            self._error(file, load, f"cycle of loads: {cycle}")
            return
        file.loads[load.module] = path
        if path not in self._visited:
            self._visit(path)

    def _missing(self, file: SourceFile, load: Load, path: str) -> None:
        meant = nearest(path, self._sources)
        suggestion = f" (did you mean {meant}?)" if meant else ""
        listed = ", ".join(sorted(self._sources)[:_LISTED_MAX])
        hint = f"the bundle has {listed}"
        self._error(file, load, f"no file {path} in the bundle{suggestion}", hint)

    def _error(
        self, file: SourceFile, load: Load, problem: str, hint: str = ""
    ) -> None:
        message = f'cannot load "{load.module}": {problem}'
        self.errors.append(
            Diagnostic("error", "BAD_LOAD", message, load.module_pos, hint, file.path)
        )


def shared_names(files: list[SourceFile]) -> Mapping[str, set[str]]:
    """Return, for each file, the names that others load from it."""
    shared: dict[str, set[str]] = {file.path: set() for file in files}
    for file in files:
        for load in file.tree.body:
            if isinstance(load, Load) and load.module in file.loads:
                names = (binding.exported for binding in load.bindings)
                shared.setdefault(file.loads[load.module], set()).update(names)
    return shared


def in_file(path: str, findings: list[Diagnostic]) -> list[Diagnostic]:
    """Return *findings* as findings about the file *path*."""
    return [replace(finding, file=path) for finding in findings]
