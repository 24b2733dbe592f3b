"""How to say in Starlark what people write in Python."""

from typing import Final

from starflow_service.starlark.tokens import RESERVED, Token

_NO_EXCEPTIONS: Final = (
    "Starlark has no exceptions: an error ends the run; let the function retry by its "
    "policy, or return the failure as a value"
)
_LOADS: Final = 'modules are loaded: load("time", "now")'
_NO_NONLOCAL: Final = (
    "a function cannot rebind variables outside of it; return the value, or keep it in "
    "a dict or list"
)

# Words that begin a statement of Python's.
_STATEMENTS: Final = {
    "assert": 'write: if not condition: fail("message")',
    "async": "functions are plain: calls wait by themselves",
    "await": "calls wait by themselves: write only the call",
    "case": "write if, elif, else",
    "class": "Starlark has no classes; use a dict, and functions that take it",
    "del": "write d.pop(key) or list.pop(index)",
    "except": _NO_EXCEPTIONS,
    "finally": _NO_EXCEPTIONS,
    "from": _LOADS,
    "global": _NO_NONLOCAL,
    "import": _LOADS,
    "is": "write == or !=",
    "match": "write if, elif, else",
    "nonlocal": _NO_NONLOCAL,
    "print": "print is a function: print(x)",
    "raise": 'write fail("message")',
    "try": _NO_EXCEPTIONS,
    "while": "write: for i in range(n): ... break",
    "with": "there is nothing to close or release in a script",
    "yield": "Starlark has no generators; build a list",
}

# Pairs of tokens that Python reads and Starlark does not: before, at.
_PAIRS: Final = {
    (":", "="): "Starlark has no assignment expressions; assign in a statement",
    ("-", ">"): "Starlark has no annotations",
    ("&", "&"): "write `and`",
    ("|", "|"): "write `or`",
    ("<", ">"): "write !=",
    ("else", "if"): "write elif",
}

# What stands where it cannot, whatever comes before it.
_ALONE: Final = {
    "**": "there is no power operator; multiply, or use math.pow",
    "//": "a comment begins with #",
    "*": "to join lists write a + b; only parameters and arguments can have a star",
    "for": "write a list comprehension: [x for x in y]",
}

# What cannot begin a statement.
_LEADING: Final = {
    "indent": "this line is indented, but no line before it opened a block",
    "elif": "elif follows the block of an if",
    "else": "else follows the block of an if",
}

# Names that Python has and Starlark has not.
_UNDEFINED: Final = {
    "Exception": _NO_EXCEPTIONS,
    "__name__": "a script is not imported; the service calls main(ctx, input)",
    "ascii": "write repr(x)",
    "bytearray": "write bytes(x), or a list of ints",
    "complex": "there are no complex numbers",
    "datetime": 'load("time", "time") has times and durations',
    "divmod": "write x // y and x % y",
    "eval": "a script cannot make code",
    "exec": "a script cannot make code",
    "exit": "return from main, or fail(message)",
    "false": "write False",
    "filter": "write a comprehension: [x for x in y if condition]",
    "format": 'write "{}".format(x)',
    "frozenset": "Starlark has no sets; a dict has keys: {k: True}",
    "id": "values have no identity; compare with ==",
    "input": "main(ctx, input) receives the input of the run",
    "isinstance": 'write type(x) == "string"',
    "iter": "write a for loop",
    "map": "write a comprehension: [f(x) for x in y]",
    "next": "write a for loop",
    "nil": "write None",
    "null": "write None",
    "object": "Starlark has no classes; use a dict",
    "open": "a script cannot read files; a function of a worker can",
    "pow": 'load("math", "math") has math.pow',
    "random": 'load("rand", "rand") has rand.int(ctx, n)',
    "round": 'load("math", "math") has math.round',
    "set": "Starlark has no sets; a dict has keys: {k: True}",
    "sleep": 'load("time", "sleep") has sleep(ctx, duration)',
    "struct": "use a dict",
    "sum": "add up in a for loop",
    "true": "write True",
}


def undefined_hint(name: str) -> str:
    """Return what to write instead of *name*, which Python knows and Starlark not."""
    return _UNDEFINED.get(name, "")


def hint_for(before: Token, token: Token, after: Token, want: str) -> str:
    """Return how to mend *token* standing where *want* should, or ""."""
    if token.kind == "end of file" or want == "identifier":
        return ""
    return (
        _reserved_hint(before, token)
        or _PAIRS.get((before.kind, token.kind), "")
        or _PAIRS.get((token.kind, after.kind), "")
        or _string_hint(before, token)
        or _layout_hint(before, token, want)
        or _ALONE.get(token.kind, "")
    )


def reserved_hint(word: str) -> str:
    """Return what to write instead of a statement that begins with *word*, or ""."""
    return _STATEMENTS.get(word, "")


def _reserved_hint(before: Token, token: Token) -> str:
    if token.kind in RESERVED:
        return _STATEMENTS.get(token.kind, f"{token.kind} is a reserved word")
    if before.kind == "identifier" and token.kind != "=":
        return _STATEMENTS.get(str(before.value), "")
    return ""


def _string_hint(before: Token, token: Token) -> str:
    if token.kind not in {"string literal", "bytes literal"}:
        return ""
    if before.kind == token.kind:
        return "join strings with +"
    if before.kind == "identifier" and str(before.value).lower() in {"f", "fr", "rf"}:
        return 'Starlark has no f-strings; write "... %s" % x or "... {}".format(x)'
    if before.kind == "identifier" and str(before.value).lower() in {"u", "r", "b"}:
        return "the prefixes of strings are r, b and rb"
    return ""


def _layout_hint(before: Token, token: Token, want: str) -> str:
    if token.kind == ":" and want == "newline":
        return "Starlark has no annotations"
    if token.kind == "=" and want == "newline":
        return "assign to one target at a time"
    if token.kind == "=":
        is_name = before.kind not in {"load", "lambda"}
        return "to compare write ==" if is_name else f"{before.kind} is a reserved word"
    if want == "':'" and token.kind in {",", "}"}:
        return "Starlark has no sets; a dict has keys: {k: True}"
    if want == "indent":
        return "indent the block; an empty one is written: pass"
    if want == "primary expression" and token.kind == "newline":
        return "to go on in the next line put the expression in parentheses"
    if want == "primary expression" and before.kind in {"newline", "outdent"}:
        return _LEADING.get(token.kind, "")
    return ""
