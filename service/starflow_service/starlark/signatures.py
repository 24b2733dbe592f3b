"""What is wrong with lists of parameters and of arguments."""

from collections.abc import Iterator
from typing import Final

from starflow_service.starlark.diagnostics import Diagnostic
from starflow_service.starlark.syntax import Argument, Parameter, Pos

_PARAMETERS: Final = "the order is: def f(a, b=1, *c, d, e=2, **g)"
_ARGUMENTS: Final = "the order is: f(x, y, a=1, *c, **g)"


def parameter_faults(parameters: list[Parameter]) -> Iterator[Diagnostic]:
    """Yield what is wrong with the order and the names of *parameters*."""
    names: set[str] = set()
    seen: set[str] = set()
    for index, parameter in enumerate(parameters):
        message = _parameter_order(parameter, seen)
        seen.add(parameter.kind)
        if message:
            yield _fault(message, parameter.pos, _PARAMETERS)
        if parameter.kind == "bare_star" and not _has_keyword_only(parameters, index):
            message = "bare * must be followed by keyword-only parameters"
            yield _fault(message, parameter.pos, _PARAMETERS)
        if parameter.name is not None:
            name = parameter.name.name
            if name in names:
                message = f"duplicate parameter: {name}"
                yield _fault(message, parameter.name.pos, "choose another name")
            names.add(name)


def _parameter_order(parameter: Parameter, seen: set[str]) -> str:
    has_star = bool(seen & {"star", "bare_star"})
    match parameter.kind:
        case "starstar":
            return "multiple ** parameters not allowed" if "starstar" in seen else ""
        case "star" | "bare_star":
            if "starstar" in seen:
                return "* parameter may not follow ** parameter"
            return "multiple * parameters not allowed" if has_star else ""
        case _ if "starstar" in seen:
            return "parameter may not follow ** parameter"
        case "plain" if "default" in seen and not has_star:
            return "required parameter may not follow optional"
    return ""


def _has_keyword_only(parameters: list[Parameter], star: int) -> bool:
    following = parameters[star + 1 : star + 2]
    return bool(following) and following[0].kind in {"plain", "default"}


def argument_faults(arguments: list[Argument]) -> Iterator[Diagnostic]:
    """Yield what is wrong with the order and the names of *arguments*."""
    names: set[str] = set()
    seen: set[str] = set()
    for argument in arguments:
        message = _argument_order(argument, seen)
        seen.add(argument.kind)
        if message:
            yield _fault(message, argument.pos, _ARGUMENTS)
        if argument.kind == "keyword":
            if argument.name in names:
                message = f"keyword argument {argument.name} is repeated"
                yield _fault(message, argument.pos, "leave one of them out")
            names.add(argument.name)


def _argument_order(argument: Argument, seen: set[str]) -> str:
    match argument.kind:
        case "starstar":
            return "multiple **kwargs not allowed" if "starstar" in seen else ""
        case "star" if "starstar" in seen:
            return "*args may not follow **kwargs"
        case "star":
            return "multiple *args not allowed" if "star" in seen else ""
        case "keyword":
            follows = "starstar" in seen
            return "keyword argument may not follow **kwargs" if follows else ""
    return _positional_order(seen)


def _positional_order(seen: set[str]) -> str:
    if "starstar" in seen:
        return "positional argument may not follow **kwargs"
    if "star" in seen:
        return "positional argument may not follow *args"
    return "positional argument may not follow named" if "keyword" in seen else ""


def _fault(message: str, pos: Pos, hint: str) -> Diagnostic:
    return Diagnostic("error", "BAD_SIGNATURE", message, pos, hint)
