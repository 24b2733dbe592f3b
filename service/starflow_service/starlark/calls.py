"""Calling values, and wording the errors of calls that do not fit.

Functions of the script and built-ins are Python functions, and Python binds their
arguments.  When it refuses, nothing is read from its message, which a script's keyword
names could have shaped: the arguments are compared with the signature once more.
"""

from collections.abc import Mapping, Sequence
from inspect import CO_VARARGS, CO_VARKEYWORDS
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any

from starflow_service.starlark.access import METHODS, attr
from starflow_service.starlark.caps import new_elements
from starflow_service.starlark.compare import DICTS, key_value
from starflow_service.starlark.errors import EvalError
from starflow_service.starlark.host import Context
from starflow_service.starlark.iteration import items_of
from starflow_service.starlark.spelling import nearest
from starflow_service.starlark.text import function_name
from starflow_service.starlark.values import Builtin, HostFunction, type_name

if TYPE_CHECKING:
    from starflow_service.starlark.meter import Meter

# Memory of one entry of `**kwargs`, and of one item of `*args`.
_KEYWORD_BYTES, _ITEM_BYTES = 150, 8


def call(
    m: "Meter", f: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] = {}
) -> Any:
    """
    Return `f(*args, **kwargs)`.

    Raises:
        EvalError: *f* cannot be called, or not so; or whatever it raises.
    """
    if kwargs or len(args) > 8:
        m.charge(_ITEM_BYTES * len(args) + _KEYWORD_BYTES * len(kwargs))
    kind = type(f)
    try:
        if kind is FunctionType:
            return f(*args, **kwargs)
        if kind is Builtin:
            if f.receiver is None:
                return f.fn(m, *args, **kwargs)
            return f.fn(m, f.receiver, *args, **kwargs)
    except TypeError as error:
        if _is_ours(error):
            raise
        raise EvalError(_misfit(f, args, kwargs)) from None
    if kind is HostFunction:
        return m.host.call(m, f.path, host_request(f.path, args, kwargs))
    raise EvalError(f"invalid call of non-function ({type_name(f)})")


def call_method(
    m: "Meter",
    x: Any,
    name: str,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] = {},
) -> Any:
    """Return `x.name(*args, **kwargs)`, without making the bound method."""
    methods = METHODS.get(type(x))
    fn = methods.get(name) if methods is not None else None
    if fn is None:
        return call(m, attr(m, x, name), args, kwargs)
    if kwargs or len(args) > 8:
        m.charge(_ITEM_BYTES * len(args) + _KEYWORD_BYTES * len(kwargs))
    try:
        return fn(m, x, *args, **kwargs)
    except TypeError as error:
        if _is_ours(error):
            raise
        raise EvalError(_misfit(Builtin(name, fn, x), args, kwargs)) from None


def _is_ours(error: TypeError) -> bool:
    """
    Tell whether *error* is a bug of ours, and not a call that does not fit.

    Python refuses a call before it makes a frame for it, so the traceback of a misfit
    has a single entry.
    """
    return error.__traceback__ is None or error.__traceback__.tb_next is not None


def is_callable(x: Any) -> bool:
    """Return whether *x* can be called."""
    return type(x) in _CALLABLE


_CALLABLE = frozenset({FunctionType, Builtin, HostFunction})


# Functions of the host


def host_request(path: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """
    Return the `req` of a call of a host's function: it takes `ctx` and `req`.

    Raises:
        EvalError: the arguments are others, or `ctx` is not the run's context.
    """
    if len(args) == 2 and not kwargs:
        check_context(path, args[0])
        return args[1]
    if len(args) > 2:
        raise EvalError(f"{path}: got {len(args)} arguments, want at most 2")
    bound = dict(zip(("ctx", "req"), args, strict=False))
    for name, value in kwargs.items():
        if name not in ("ctx", "req"):
            near = _did_you_mean(name, ("ctx", "req"))
            raise EvalError(
                f'{path}: unexpected keyword argument "{name[:80]}"{near}',
            )
        if name in bound:
            raise EvalError(f'{path}: got multiple values for parameter "{name}"')
        bound[name] = value
    if "ctx" not in bound:
        raise EvalError(f"{path}: missing argument for ctx")
    check_context(path, bound["ctx"])
    return bound.get("req")


def check_context(name: str, ctx: Any) -> None:
    """
    Refuse what is not the `ctx` that `main` was given.

    Raises:
        EvalError: it is something else.
    """
    if type(ctx) is not Context:
        raise EvalError(
            f"{name}: for parameter ctx: got {type_name(ctx)}, want context"
        )


# Arguments written with * and **


def spread_args(m: "Meter", x: Any) -> Sequence[Any]:
    """Return what `*x` adds to the arguments of a call."""
    items = items_of(m, x)
    if items is None:
        raise EvalError(f"argument after * must be iterable, not {type_name(x)}")
    new_elements(m, len(items), 40 if type(items) is range else 8)
    return items


def spread_kwargs(m: "Meter", x: Any) -> dict[str, Any]:
    """Return what `**x` adds to the arguments of a call."""
    if type(x) not in DICTS:
        raise EvalError(f"argument after ** must be a mapping, not {type_name(x)}")
    m.charge(_KEYWORD_BYTES * len(x))
    for key in x:
        if type(key) is not str:
            name = type_name(key_value(key))
            raise EvalError(f"keywords must be strings, not {name}")
    return dict(x)


# Calls that do not fit


def _misfit(f: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    if type(f) is FunctionType:
        signature = _Signature(f, 0)
        return _script_misfit(function_name(f), signature, args, kwargs)
    given = 1 if f.receiver is None else 2
    return _builtin_misfit(f.name, _Signature(f.fn, given), args, kwargs)


class _Signature:
    """The parameters of a Python function, after the first few that we give it."""

    def __init__(self, function: Any, given: int) -> None:
        code: CodeType = function.__code__
        names = [name.partition("!")[0] for name in code.co_varnames]
        defaults = len(function.__defaults__ or ())
        last = code.co_argcount
        self.positional = names[given:last]
        self.by_name = names[max(given, code.co_posonlyargcount) : last]
        self.required = self.positional[: max(0, last - defaults - given)]
        self.keyword_only = names[last : last + code.co_kwonlyargcount]
        optional = function.__kwdefaults__ or {}
        self.keyword_required = [
            name for name in self.keyword_only if name not in optional
        ]
        self.any_positional = bool(code.co_flags & CO_VARARGS)
        self.any_keyword = bool(code.co_flags & CO_VARKEYWORDS)

    def unexpected(self, kwargs: Mapping[str, Any]) -> str | None:
        """Return the first name that is no parameter's."""
        if self.any_keyword:
            return None
        known = {*self.by_name, *self.keyword_only}
        return next((name for name in kwargs if name not in known), None)

    def repeated(self, given: int, kwargs: Mapping[str, Any]) -> str | None:
        """Return the first name whose parameter has a position's value already."""
        filled = self.positional[:given]
        return next(
            (name for name in kwargs if name in filled and name in self.by_name), None
        )

    def missing(self, given: int, kwargs: Mapping[str, Any]) -> list[str]:
        """Return the parameters that get no value."""
        wanted = self.required[given:] + self.keyword_required
        return [name for name in wanted if name not in kwargs]


def _script_misfit(
    name: str, signature: _Signature, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> str:
    most = len(signature.positional)
    parameters = most + len(signature.keyword_only)
    given = len(args) + len(kwargs)
    if not (parameters or signature.any_positional or signature.any_keyword):
        return f"function {name} accepts no arguments ({given} given)"
    if len(args) > most and not signature.any_positional:
        bound = "" if len(signature.required) == most else "at most "
        arguments = "argument" if most == 1 else "arguments"
        return (
            f"function {name} accepts {bound}{most} positional {arguments} "
            f"({len(args)} given)"
        )
    return f"function {name} {_names_misfit(signature, len(args), kwargs)}"


def _names_misfit(signature: _Signature, given: int, kwargs: Mapping[str, Any]) -> str:
    repeated = signature.repeated(given, kwargs)
    if repeated is not None:
        return f'got multiple values for parameter "{repeated[:80]}"'
    unexpected = signature.unexpected(kwargs)
    if unexpected is not None:
        near = _did_you_mean(unexpected, signature.by_name + signature.keyword_only)
        return f'got an unexpected keyword argument "{unexpected[:80]}"{near}'
    missing = signature.missing(given, kwargs)
    arguments = "argument" if len(missing) == 1 else "arguments"
    return f"missing {len(missing)} {arguments} ({', '.join(missing)[:200]})"


def _builtin_misfit(
    name: str, signature: _Signature, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> str:
    by_name = signature.by_name + signature.keyword_only
    if kwargs and not by_name and not signature.any_keyword:
        return f"{name}: unexpected keyword arguments"
    least, most = len(signature.required), len(signature.positional)
    if len(args) > most and not signature.any_positional:
        bound = "" if least == most else "at most "
        return f"{name}: got {len(args)} arguments, want {bound}{most}"
    if len(args) < least and not by_name:
        bound = "" if least == most and not signature.any_positional else "at least "
        return f"{name}: got {len(args)} arguments, want {bound}{least}"
    repeated = signature.repeated(len(args), kwargs)
    if repeated is not None:
        return f'{name}: got multiple values for parameter "{repeated[:80]}"'
    unexpected = signature.unexpected(kwargs)
    if unexpected is not None:
        near = _did_you_mean(unexpected, by_name)
        return f'{name}: unexpected keyword argument "{unexpected[:80]}"{near}'
    missing = signature.missing(len(args), kwargs)
    return f"{name}: missing argument for {missing[0]}"


def _did_you_mean(name: str, known: Sequence[str]) -> str:
    near = nearest(name, known)
    return f" (did you mean {near}?)" if near else ""
