"""Every built-in, method and member with arguments that hurt, dozens in a program."""

import json
from inspect import CO_VARARGS
from random import Random
from types import FunctionType

from starflow_service.starlark.access import METHODS
from starflow_service.starlark.builtins import MODULES, UNIVERSE
from starflow_service.starlark.values import Builtin, Dict, List
from tests.fuzz.grammar import Maker
from tests.fuzz.words import (
    BUILTINS,
    KINDS,
    LITERALS,
    MEMBERS,
    OPERATORS,
    loads_of,
)

CALLS = 40
# What texts with a meaning are made of: formats, numbers, JSON, layouts, durations.
_ALPHABETS = [
    "%%%dsrxXoceEfFgG(a)0.-+# 19",
    '{{}}01a!rs:.[]"',
    "0123456789+-.eExXoObB_ninfaINF",
    '{}[],:" \\ntru0.e-u12dD8',
    "2006-01-02T15:04:05.999Z07:00MST JanMonPM",
    "0123456789.-+hmsuµn",
    "a b\t\n\x0b\x1c\u2028\u00a0,;é世😀ǅßİ\u0301",
]
_METHODS = {
    kind: METHODS[type_]
    for kind, type_ in {"str": str, "bytes": bytes, "list": List, "dict": Dict}.items()
}
# What parameters of these names take, where that is told by the name.
_TAKES = {
    name: what
    for what, names in {
        "ctx": "ctx",
        "fn": "fn",
        "int": "start end place step stop count maxsplit year month day hour minute"
        " second sec nsec i max base max_concurrency progress",
        "list": "iterable seq items futures pairs",
        "text": "sep sub prefix suffix chars name s location format text old new data"
        " on",
        "made": "timeout attempt_timeout duration t",
    }.items()
    for name in names.split()
}
# The values of modules, and all that can be asked of them.
_MADE = [
    *("time_parse_duration({})", "time_from_timestamp({}, {})", "time_parse_time({})"),
    *("time_time(year={}, month={}, day={}, hour={}, location={})", "time_hour * {}"),
    *("json_decode({})", "flow_catch(fail, {})", "flow_catch(fail, {}).error"),
    *("flow_start(ctx, test.echo, {})", "flow_spawn(ctx, {})", "{}.{}", "range({})"),
    *("lambda *a, **k: (a, k)", "test.echo", "ctx", "len", '"a".join', "type({})"),
]
_ASKED = [
    *("hours", "minutes", "seconds", "milliseconds", "microseconds", "nanoseconds"),
    *("year", "month", "day", "hour", "minute", "second", "nanosecond", "unix"),
    *("unix_nano", "ok", "value", "error", "code", "message", "details", "retryable"),
    *("in_location({})", "format({})", "nothing", "__class__", "f_globals"),
]


class _Calls:
    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)
        self._maker = Maker(seed)

    def argument(self) -> str:
        roll = self.chance.random()
        if roll < 0.3:
            return self._quoted()
        if roll < 0.45:
            return str(self._number())
        if roll < 0.6:
            return f"({self.made()})"
        if roll < 0.9:
            return f"({self.chance.choice(LITERALS[self.chance.choice(KINDS)])})"
        return self._maker.expression("any", 1)

    def _text(self) -> str:
        alphabet = self.chance.choice(_ALPHABETS)
        length = self.chance.choice([0, 1, 2, 3, 5, 8, 20, 40])
        return "".join(self.chance.choice(alphabet) for _ in range(length))

    def _quoted(self) -> str:
        return json.dumps(self._text(), ensure_ascii=False)

    def _number(self) -> int | float:
        bits = self.chance.choice([1, 3, 8, 16, 31, 53, 63, 64, 65, 200, 3000])
        number = self.chance.getrandbits(bits) * self.chance.choice([1, -1])
        return number / 7 if self.chance.random() < 0.2 and bits < 900 else number

    def made(self) -> str:
        form = self.chance.choice(_MADE)
        if form == "{}.{}":
            asked = self.chance.choice(_ASKED).replace("{}", self._quoted())
            return f"({self.made()}).{asked}"
        parts = form.split("{}")
        return "".join(p + a for p, a in zip(parts, self._plain(parts), strict=True))

    def _plain(self, parts: list[str]) -> list[str]:
        """Return arguments for between *parts*, and nothing for behind the last."""
        given = [
            self.chance.choice([self._quoted(), str(self._number()), "None", "7"])
            for _ in parts[1:]
        ]
        return [*given, ""]

    def call(self) -> str:
        match self.chance.randint(0, 7):
            case 0 | 1:
                name = self.chance.choice(BUILTINS)
                builtin = UNIVERSE[name]
                return f"{name}({self.arguments(builtin.fn, 1)})"
            case 2 | 3:
                name = self.chance.choice(MEMBERS)
                module, _, member = name.partition("_")
                value = MODULES[module].members[member]
                given = self.arguments(value.fn, 1) if type(value) is Builtin else ""
                return f"{name}({given})"
            case 4 | 5:
                kind = self.chance.choice(sorted(_METHODS))
                owner = self.chance.choice([*LITERALS[kind], self._quoted()])
                name = self.chance.choice(sorted(_METHODS[kind]))
                return f"({owner}).{name}({self.arguments(_METHODS[kind][name], 2)})"
            case 6:
                op = self.chance.choice(OPERATORS)
                return f"{self.argument()} {op} {self.argument()}"
            case _:
                count = self.chance.randint(1, 3)
                places = ":".join(self.taken("int") for _ in range(count))
                return f"{self.argument()}[{places}]"

    def arguments(self, function: FunctionType, ours: int) -> str:
        """Return arguments that mostly fit *function*, whose first are *ours*."""
        code = function.__code__
        names = code.co_varnames[ours : code.co_argcount]
        optional = len(function.__defaults__ or ())
        count = self.chance.randint(max(0, len(names) - optional), len(names))
        if code.co_flags & CO_VARARGS:
            count += self.chance.randint(0, 3)
        if self.chance.random() < 0.1:
            count = self.chance.randint(0, 4)
        wanted = [*names, *("x" for _ in range(count))][:count]
        given = [self.taken(_TAKES.get(name, "any")) for name in wanted]
        named = code.co_varnames[code.co_argcount :][: code.co_kwonlyargcount]
        given += [
            f"{name}={self.taken(_TAKES.get(name, 'any'))}"
            for name in [*named, "x"]
            if self.chance.random() < (0.3 if name in named else 0.03)
        ]
        return ", ".join(given)

    def taken(self, what: str) -> str:
        """Return an argument that mostly is what is wanted."""
        if self.chance.random() < 0.1:
            return self.argument()
        match what:
            case "ctx":
                return "ctx"
            case "text":
                return self._quoted()
            case "made":
                return f"({self.made()})"
            case "int":
                few = [*LITERALS["int"], "None", "True", str(self._number())]
                return f"({self.chance.choice(few)})"
            case "fn":
                return self._maker.function(2)
            case "list":
                return f"({self._maker.expression('list', 2)})"
            case _:
                return self.argument()


def make_calls(seed: int) -> str:
    """Return a program of many calls, each of which may fail by itself."""
    calls = _Calls(seed)
    lines = [
        f"    seen.append(flow_catch(lambda: repr({calls.call()})[:99]))\n"
        for _ in range(CALLS)
    ]
    text = "def main(ctx, input):\n    seen = []\n" + "".join(lines)
    text += "    return [str(result) for result in seen]\n"
    return loads_of(text) + text
