"""What Python and other languages have and Starlark has not, and what to write instead.

The parser understands most of it, says so in a finding, and goes on as if the Starlark
way had been written: so nothing else of the line is reported that is no fault.
"""

import re
from collections.abc import Mapping
from typing import Final

from starflow_service.starlark.diagnostics import Diagnostic
from starflow_service.starlark.syntax import Pos

NO_EXCEPTIONS: Final = (
    'a failed call ends the run; to go on after it load("flow", "catch") and write: '
    "result = catch(f, ...), then look at result.ok, result.value and result.error"
)
_LOADS: Final = 'modules are loaded: load("time", "now")'
_NO_NONLOCAL: Final = (
    "a function cannot rebind variables outside of it; return the value, or keep it in "
    "a dict or list of the function around it"
)
_NO_CLASSES: Final = "use a dict, and functions that take it"
_NO_TYPES: Final = "leave the type out; describe it in a docstring or comment"
_COMPREHENSION: Final = "write a list comprehension: [x for x in y]"
_PLAIN_CALLS: Final = "calls wait by themselves: write only the call"

# What it is, and the Starlark way.
_FOREIGN: Final[Mapping[str, tuple[str, str]]] = {
    # Statements
    "assert": ("assert", 'write: if not condition: fail("message")'),
    "async": ("async", "functions are plain: calls wait by themselves"),
    "class": ("class", _NO_CLASSES),
    "del": ("del", "write d.pop(key) or list.pop(index)"),
    "except": ("except", NO_EXCEPTIONS),
    "exec": ("exec", "a script cannot make code"),
    "finally": ("finally", 'load("flow", "defer") has what must happen in the end'),
    "from": ("from", _LOADS),
    "global": ("global", _NO_NONLOCAL),
    "goto": ("goto", "write functions and loops"),
    "import": ("import", _LOADS),
    "match": ("match", "write if, elif, else"),
    "case": ("case", "write if, elif, else"),
    "switch": ("switch", "write if, elif, else"),
    "elsif": ("elsif", "write elif"),
    "foreach": ("foreach", "write: for x in y:"),
    "type": ("type", _NO_TYPES),
    "unless": ("unless", "write: if not condition:"),
    "until": ("until", "write: for i in range(n): ... if condition: break"),
    "nonlocal": ("nonlocal", _NO_NONLOCAL),
    "raise": ("raise", 'write fail("message")'),
    "try": ("try", NO_EXCEPTIONS),
    "while": ("while", "write: for i in range(n): ... break"),
    "with": ("with", "there is nothing to close or release in a script"),
    "yield": ("yield", "there are no generators; build a list"),
    "let": ("let", "write x = 1: variables need no declaration"),
    "const": ("const", "write x = 1: variables need no declaration"),
    "var": ("var", "write x = 1: variables need no declaration"),
    "function": ("function", "write: def f(x):"),
    "func": ("func", "write: def f(x):"),
    "fn": ("fn", "write: def f(x):"),
    "print": ("the print statement", "print is a function: print(x)"),
    "decorator": ("decorators", "call the function where it is used: g(f)"),
    "for-else": ("else of a loop", "note in a variable whether the loop broke off"),
    "chained assignment": (
        "chained assignment",
        "assign to one target at a time",
    ),
    # Operators
    "is": ("the operator is", "write == or !="),
    "**": (
        "the operator **",
        'multiply, or load("math", "pow") and write pow(x, y), which gives a float',
    ),
    "@": ("the operator @", "multiply the elements in a loop"),
    ":=": ("the operator :=", "assign in a statement of its own"),
    "&&": ("the operator &&", "write `and`"),
    "||": ("the operator ||", "write `or`"),
    "!": ("the operator !", "write `not x`"),
    "<>": ("the operator <>", "write !="),
    "++": ("the operator ++", "write x += 1"),
    "--": ("the operator --", "write x -= 1"),
    "===": ("the operator ===", "write =="),
    "!==": ("the operator !==", "write !="),
    # Expressions
    "f-string": ("f-strings", 'write "... {}".format(x), or "... %s" % x'),
    "string prefix": ("this prefix of a string", "the prefixes are r, b and rb"),
    "implicit concatenation": (
        "joining strings by writing them side by side",
        "join strings with +",
    ),
    "complex number": ("complex numbers", "keep two floats"),
    "long number": ("this suffix of a number", "leave it out"),
    "...": ("...", "write pass for an empty block, None for an absent value"),
    "await": ("await", _PLAIN_CALLS),
    "generator": ("generator expressions", _COMPREHENSION),
    "set": ("set literals", "a dict has keys: {k: True}"),
    "set comprehension": ("set comprehensions", "write {x: True for x in y}"),
    "unpacking": (
        "unpacking with *",
        "join lists with +: [a] + b; divide them by slices: x[0], x[1:]",
    ),
    "dict unpacking": ("unpacking with ** in a dict", "join dicts with |: a | b"),
    "annotation": ("type annotations", _NO_TYPES),
    "positional-only": ("positional-only parameters", "leave the / out"),
    "no else": ("a conditional without else", "write: a if condition else None"),
    # Layout
    "comment": ("this form of comment", "a comment begins with #"),
    "brace": ("a block in braces", "write : and indent the lines of the block"),
    "=>": ("the arrow of a function", "write lambda x: ..."),
}

# What to do instead of importing a module of Python's.
_NETWORK: Final = (
    "a script cannot reach the network: let a worker's function do it, and call that "
    "by its name"
)
_MACHINE: Final = (
    "a script cannot reach the machine it runs on: let a worker's function do it, and "
    "call that by its name"
)
_TIME: Final = 'load("time", "now", "sleep", "second") and pass ctx: now(ctx)'
_FLOW: Final = (
    'calls wait by themselves; load("flow", "start", "wait") has calls that run at the '
    "same time"
)
_NO_DECLARATIONS: Final = "there are no types or classes; use dicts"
_MODULES: Final[Mapping[str, str]] = {
    "aiohttp": _NETWORK,
    "asyncio": _FLOW,
    "collections": "use a dict: d[k] = d.get(k, 0) + 1",
    "concurrent": _FLOW,
    "copy": "list(x) and dict(x) make shallow copies",
    "dataclasses": _NO_DECLARATIONS,
    "datetime": _TIME,
    "enum": "use strings",
    "functools": "write a function",
    "hashlib": 'load("hashlib", "hashlib")',
    "http": _NETWORK,
    "httpx": _NETWORK,
    "io": _MACHINE,
    "itertools": "write a loop or a comprehension",
    "json": 'load("json", "json")',
    "logging": "print(x) writes to the service's log",
    "math": 'load("math", "math")',
    "os": _MACHINE,
    "pathlib": _MACHINE,
    "pydantic": _NO_DECLARATIONS,
    "random": 'load("rand", "rand") and pass ctx: rand.int(ctx, 6)',
    "re": "there are no regular expressions; use find, split, startswith",
    "requests": _NETWORK,
    "shutil": _MACHINE,
    "smtplib": _NETWORK,
    "socket": _NETWORK,
    "subprocess": _MACHINE,
    "sys": _MACHINE,
    "threading": _FLOW,
    "time": _TIME,
    "traceback": NO_EXCEPTIONS,
    "typing": _NO_TYPES,
    "urllib": _NETWORK,
    "uuid": 'load("uuid", "uuid")',
}

_PLURAL: Final = frozenset(
    [
        *("decorators", "f-strings", "complex numbers", "generator expressions"),
        *("set literals", "set comprehensions", "type annotations"),
        "positional-only parameters",
    ]
)
# What Python imports under a name that loads have, too.
LOADABLE: Final = frozenset(["hashlib", "json", "math", "time", "uuid"])

_PIECE: Final = re.compile(r"\{\{|\}\}|\{([^{}!:=]*)\}")
_HINT_MAX: Final = 120


def foreign(what: str, pos: Pos, *, hint: str = "") -> Diagnostic:
    """Return the finding about *what*, a key of the table, at *pos*."""
    name, advice = _FOREIGN[what]
    verb = "are" if name in _PLURAL else "is"
    message = f"{name} {verb} not part of Starlark"
    return Diagnostic("error", "NOT_STARLARK", message, pos, hint or advice)


def way_of(what: str) -> str:
    """Return the Starlark way to write *what*, "" if it is nothing foreign."""
    return _FOREIGN.get(what, ("", ""))[1]


def module_hint(module: str) -> str:
    """Return what to do instead of importing *module*, "" if nothing is known."""
    return _MODULES.get(module.partition(".")[0], "")


def format_hint(body: str, quotes: str) -> str:
    """
    Return how to write the f-string with the text *body*, "" if that is hard to say.
    """
    parts = _PIECE.findall(body)
    rest = _PIECE.sub("", body)
    if "{" in rest or "}" in rest or "\\" in body or "\n" in body:
        return ""
    values = ", ".join(part.strip() for part in parts if part.strip())
    text = _PIECE.sub(lambda m: m[0] if m[1] is None else "{}", body)
    call = f"{quotes}{text}{quotes}"
    if values:
        call += f".format({values})"
    return f"write {call}" if len(call) <= _HINT_MAX else ""
