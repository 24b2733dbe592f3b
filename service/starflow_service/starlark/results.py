"""What `flow.catch` gives: values that are nothing but their attributes."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from starflow_service.starlark import jsontext
from starflow_service.starlark.errors import EvalError
from starflow_service.starlark.values import MISSING, Value

if TYPE_CHECKING:
    from starflow_service.starlark.meter import Meter

# Memory of a result with its error, without the texts.
RESULT_BYTES = 600


class _Fields(Value):
    """An immutable value with named parts; true, equal by its parts, and hashable."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self._fields = fields

    def fields(self) -> Mapping[str, Any]:
        return self._fields

    def attr(self, m: "Meter", name: str) -> Any:
        return self._fields.get(name, MISSING)

    def attr_names(self) -> Iterable[str]:
        return self._fields


class Result(_Fields):
    """How a call ended: `ok`, `value` and `error`."""

    __slots__ = ()
    type_name: ClassVar[str] = "result"


class Error(_Fields):
    """What went wrong: `code`, `message`, `details` and `retryable`."""

    __slots__ = ()
    type_name: ClassVar[str] = "error"


def success(m: "Meter", value: Any) -> Result:
    """Return the result of a call that returned *value*."""
    m.charge(RESULT_BYTES)
    return Result({"ok": True, "value": value, "error": None})


def failure(m: "Meter", error: EvalError) -> Result:
    """Return the result of a call that failed with *error*."""
    m.charge(RESULT_BYTES)
    fault = m.host.fault(m, error)
    details = None if fault.details is None else jsontext.decode(m, fault.details)
    fields = {
        "code": fault.code,
        "message": fault.message,
        "details": details,
        "retryable": fault.retryable,
    }
    return Result({"ok": False, "value": None, "error": Error(fields)})
