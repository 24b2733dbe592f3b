"""How to say in Starlark what people write in Python."""

from collections.abc import Sequence
from typing import Final

from starflow_service.starlark.foreign import NO_EXCEPTIONS, module_hint, way_of
from starflow_service.starlark.tokens import KEYWORDS, RESERVED, Token

# What stands where an operand should.
_NO_OPERAND: Final = {
    "//": "a comment begins with #",
    "return": "a lambda is one expression; for statements write a def",
    "pass": "a lambda is one expression; for statements write a def",
    "=": "to compare write ==",
    "newline": "to go on in the next line put the expression in parentheses",
    "for": "the value comes first: [x for x in y]",
}

# What stands where an operand has just ended.
_NO_OPERATOR: Final = {
    "for": "write a list comprehension: [x for x in y]",
    "else": "write [a if condition else b for x in y], or [x for x in y if condition]",
}

# What stands where a colon should.
_COLON: Final = {
    "newline": "end this line with a colon",
    "}": "a dict has keys and values: {k: v}",
    ",": "a dict has keys and values: {k: v}",
    "=": "to compare write ==",
}
_BETWEEN: Final = "write a comma between them, or the operator that is missing"
_WANTED: Final = {
    "newline": "one statement a line; or is an operator or a comma missing?",
    "','": _BETWEEN,
    "')'": _BETWEEN,
    "']'": _BETWEEN,
    "'}'": _BETWEEN,
    "in": "write: for x in y",
    "'('": "write: def name(parameters):",
    "indent": "indent the block; an empty one is written: pass",
}

# What cannot begin a statement.
_LEADING: Final = {
    "indent": "this line is indented, but no line before it opened a block",
    "elif": "elif follows the block of an if",
    "else": "else follows the block of an if",
}

_CODE: Final = "a script cannot make code, nor look at it"
_NO_SETS: Final = "there are no sets; a dict has keys: {k: True}"
_TYPE_NAME: Final = 'write the name of a type, such as type(x) == "string"'
_NO_CLASSES: Final = "there are no classes; use a dict, and functions that take it"
_NO_TYPES: Final = "there are no type annotations"
_LOOP: Final = "write a for loop"

# Names that Python has, or another language, and Starlark has not.
_UNDEFINED: Final = {
    "Any": _NO_TYPES,
    "Dict": _NO_TYPES,
    "List": _NO_TYPES,
    "Optional": _NO_TYPES,
    "__name__": "a script is not imported; the service calls main(ctx, input)",
    "aiter": _LOOP,
    "anext": _LOOP,
    "ascii": "write repr(x)",
    "basestring": _TYPE_NAME,
    "bin": "there is no such form of an int; divide by 2 in a loop",
    "bytearray": "write bytes(x), or a list of ints",
    "callable": 'write type(x) in ("function", "builtin_function_or_method")',
    "classmethod": _NO_CLASSES,
    "cmp": "write a < b",
    "compile": _CODE,
    "complex": "there are no complex numbers",
    "console": "write print(x)",
    "datetime": 'load("time", "time") has times and durations',
    "delattr": "values have no attributes of their own; use a dict: d.pop(key)",
    "divmod": "write x // y and x % y",
    "eval": _CODE,
    "exec": _CODE,
    "exit": "return from main, or fail(message)",
    "false": "write False",
    "filter": "write a comprehension: [x for x in y if condition]",
    "format": 'write "{}".format(x)',
    "frozenset": _NO_SETS,
    "globals": _CODE,
    "help": "see the language's page in the documentation",
    "hex": 'write "%x" % n',
    "id": "values have no identity; compare with ==",
    "input": "main(ctx, input) receives the input of the run",
    "isinstance": 'write type(x) == "string"',
    "issubclass": _NO_CLASSES,
    "iter": _LOOP,
    "locals": _CODE,
    "long": "write int(x): integers may be of any size",
    "map": "write a comprehension: [f(x) for x in y]",
    "memoryview": "write a slice",
    "next": _LOOP,
    "nil": "write None",
    "null": "write None",
    "object": _NO_CLASSES,
    "oct": 'write "%o" % n',
    "open": "a script cannot read files; a function of a worker can",
    "pow": 'load("math", "pow")',
    "property": _NO_CLASSES,
    "quit": "return from main, or fail(message)",
    "random": 'load("rand", "rand") has rand.int(ctx, n)',
    "raw_input": "main(ctx, input) receives the input of the run",
    "reduce": _LOOP,
    "round": 'load("math", "round")',
    "self": _NO_CLASSES,
    "set": _NO_SETS,
    "setattr": "values have no attributes of their own; use a dict: d[key] = value",
    "slice": "write x[a:b]",
    "sleep": 'load("time", "sleep") has sleep(ctx, duration)',
    "staticmethod": _NO_CLASSES,
    "struct": "use a dict",
    "sum": "add up in a for loop",
    "super": _NO_CLASSES,
    "this": _NO_CLASSES,
    "true": "write True",
    "undefined": "write None",
    "unicode": "write str(x)",
    "vars": _CODE,
    "xrange": "write range(n)",
}


def undefined_hint(name: str) -> str:
    """Return what to write instead of *name*, which Python knows and Starlark not."""
    if name in {"Exception", "BaseException"} or name.endswith(("Error", "Exception")):
        return NO_EXCEPTIONS
    if name in {"NULL", "TRUE", "FALSE"}:
        name = name.lower()
    return _UNDEFINED.get(name) or module_hint(name)


def hint_for(tokens: Sequence[Token], at: int, want: str) -> str:
    """Return how to mend the token at *at* standing where *want* should, or ""."""
    before, token = tokens[max(0, at - 1)], tokens[at]
    return (
        _reserved_hint(before, token)
        or _layout_hint(tokens, at, want)
        or _want_hint(before, token, want)
    )


def _reserved_hint(before: Token, token: Token) -> str:
    if token.kind in RESERVED:
        return way_of(token.kind) or f"{token.kind} is a reserved word"
    if before.kind == "identifier" and token.kind != "=":
        return way_of(str(before.value)) or way_of(str(token.value))
    return ""


def _layout_hint(tokens: Sequence[Token], at: int, want: str) -> str:
    if want == "indent":
        return "indent the block; an empty one is written: pass"
    before, token = tokens[max(0, at - 1)], tokens[at]
    if want != "primary expression":
        return ""
    if before.kind in {"newline", "outdent"} or at == 0:
        return _LEADING.get(token.kind, "")
    return ""


def _want_hint(before: Token, token: Token, want: str) -> str:
    if want == "primary expression":
        return _NO_OPERAND.get(token.kind, "")
    if want == "':'":
        return _COLON.get(token.kind, "end the head of a block with a colon")
    if token.kind == "=":
        is_word = before.kind in KEYWORDS
        return f"{before.kind} is a reserved word" if is_word else "to compare write =="
    if token.pos.line > before.pos.line and want in {"','", "')'", "']'", "'}'"}:
        return "a comma is missing before this line"
    return _NO_OPERATOR.get(token.kind) or _WANTED.get(want, "")
