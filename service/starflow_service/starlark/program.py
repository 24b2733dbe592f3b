"""A compiled script: made once, shared by all its runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import CodeType
from typing import TYPE_CHECKING, Any

from starflow_service.starlark.binding import script_signature
from starflow_service.starlark.builtins import MODULES, UNIVERSE
from starflow_service.starlark.codegen import generate
from starflow_service.starlark.codegen_scope import (
    LEAN_CHARACTERS,
    UNCOUNTED_FUNCTIONS_MAX,
    TooComplex,
    Unit,
)
from starflow_service.starlark.diagnostics import Diagnostic, ScriptSyntaxError
from starflow_service.starlark.parser import parse
from starflow_service.starlark.pysyntax import Operand
from starflow_service.starlark.resolver import Resolution, resolve
from starflow_service.starlark.support import OPERATIONS
from starflow_service.starlark.syntax import File, Pos
from starflow_service.starlark.trace import METER

if TYPE_CHECKING:
    from starflow_service.starlark.meter import Meter

MAIN = "main!"


@dataclass(frozen=True, slots=True)
class Program:
    """
    What a script means, apart from any run of it.

    `functions` are the dotted names of the host's functions that it mentions, each with
    its first place.  `accesses` says which variables compiled code indexes inline,
    and where, for the messages of those that fail.
    """

    filename: str
    code: CodeType
    builtins: Mapping[str, Any]
    flags: tuple[str, ...]
    global_names: tuple[str, ...]
    accesses: Mapping[Pos, tuple[Operand, Operand]]
    functions: Mapping[str, Pos]
    warnings: tuple[Diagnostic, ...]

    def globals_for(self, m: "Meter") -> dict[str, Any]:
        """Return the globals of a new run, before its top level has been executed."""
        variables = dict.fromkeys(self.flags, False)
        return {
            **variables,
            METER: m,
            "!cap": m.limits.max_elements,
            "__builtins__": self.builtins,
        }


def compile_program(source: str, *, filename: str = "script.star") -> Program:
    """
    Compile a script; pure, and the same for the same text.

    Raises:
        ScriptSyntaxError: it is not a program, or has no `main(ctx, input)`.
    """
    file = parse(source, filename)
    members = {name: tuple(module.members) for name, module in MODULES.items()}
    resolution = resolve(file, UNIVERSE, modules=members)
    _check_main(file, resolution)
    code, unit = _generated(source, file, resolution.globals)
    return Program(
        filename=filename,
        code=code,
        builtins={**OPERATIONS, **unit.constants},
        flags=tuple(unit.flags),
        global_names=tuple(f"{name}!" for name in resolution.globals),
        accesses=unit.accesses,
        functions=resolution.functions,
        warnings=tuple(resolution.warnings),
    )


def _generated(
    source: str, file: File, global_names: Sequence[str]
) -> tuple[CodeType, Unit]:
    # Every function is spelt with one of these words, so this counts enough of them.
    functions = source.count("def") + source.count("lambda")
    deep = functions > UNCOUNTED_FUNCTIONS_MAX
    lean = len(source) > LEAN_CHARACTERS
    pos, reason = Pos(1, 1), "too many nested or too large parts"
    try:
        return generate(file, global_names, UNIVERSE, MODULES, deep=deep, lean=lean)
    except TooComplex as error:
        pos, reason = error.pos, error.reason
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
        # Only Python's own limits are left as a reason, and its texts are not for the
        # script's author.
        pass
    hint = "split deeply nested loops and expressions into functions"
    message = f"script too complex: {reason}"
    finding = Diagnostic("error", "TOO_COMPLEX", message, pos, hint)
    raise ScriptSyntaxError(file.name, [finding])


def _check_main(file: File, resolution: Resolution) -> None:
    main = resolution.main
    if main is None:
        finding = Diagnostic(
            "error",
            "NO_MAIN",
            "script has no function main",
            Pos(1, 1),
            "define `def main(ctx, input):` at the top level",
        )
        raise ScriptSyntaxError(file.name, [finding])
    if not script_signature(main.parameters).accepts(2, []):
        finding = Diagnostic(
            "error",
            "MAIN_ARITY",
            "main must take two arguments, (ctx, input)",
            main.start,
            "write `def main(ctx, input):`",
        )
        raise ScriptSyntaxError(file.name, [finding])
