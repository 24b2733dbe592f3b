"""How to say in Starlark what people write in Python."""

from collections.abc import Sequence
from typing import Final

from starflow_service.starlark.tokens import KEYWORDS, RESERVED, Token

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

_OPEN: Final = frozenset("([{")
_CLOSE: Final = frozenset(")]}")
# What a statement begins with, and an expression cannot go on with.
_STATEMENT_WORDS: Final = frozenset(
    ["break", "continue", "def", "load", "pass", "return", "while", "=", "end of file"]
)

# Pairs of tokens that Python, or another language, reads and Starlark does not.
_PAIRS: Final = {
    (":", "="): "Starlark has no assignment expressions; assign in a statement",
    ("-", ">"): "Starlark has no annotations",
    ("&", "&"): "write `and`",
    ("|", "|"): "write `or`",
    ("<", ">"): "write !=",
    ("else", "if"): "write elif",
}

# What stands where an operand should.
_NO_OPERAND: Final = {
    "**": "to join dicts write a | b; only parameters and arguments can have stars",
    "*": "to join lists write a + b; only parameters and arguments can have a star",
    "//": "a comment begins with #",
    "newline": "to go on in the next line put the expression in parentheses",
}

# What stands where an operand has just ended.
_NO_OPERATOR: Final = {
    "**": "there is no power operator; multiply, or use math.pow",
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


def hint_for(tokens: Sequence[Token], at: int, want: str) -> str:
    """Return how to mend the token at *at* standing where *want* should, or ""."""
    before, token = tokens[max(0, at - 1)], tokens[at]
    after = tokens[min(at + 1, len(tokens) - 1)]
    return (
        _bracket_hint(tokens, at)
        or _reserved_hint(before, token)
        or _PAIRS.get((before.kind, token.kind), "")
        or _PAIRS.get((token.kind, after.kind), "")
        or _string_hint(before, token)
        or _layout_hint(tokens, at, want)
        or _want_hint(before, token, want)
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


def _bracket_hint(tokens: Sequence[Token], at: int) -> str:
    """Tell of a bracket left open, if *at* is where the next statement begins."""
    token = tokens[at]
    if token.kind not in _STATEMENT_WORDS and token.kind not in RESERVED:
        return ""
    opened = _open_bracket(tokens, at)
    if opened is None or opened.pos.line == token.pos.line:
        return ""
    line, column = opened.pos
    return f"the '{opened.kind}' at {line}:{column} is not closed"


def _open_bracket(tokens: Sequence[Token], at: int) -> Token | None:
    """Return the innermost bracket that is open at *at*."""
    closed = 0
    for index in range(at - 1, -1, -1):
        kind = tokens[index].kind
        if kind in _OPEN and closed == 0:
            return tokens[index]
        closed += (kind in _CLOSE) - (kind in _OPEN)
        if kind == "newline":
            break
    return None


def _layout_hint(tokens: Sequence[Token], at: int, want: str) -> str:
    if want == "indent":
        return "indent the block; an empty one is written: pass"
    before, token = tokens[max(0, at - 1)], tokens[at]
    if want != "primary expression":
        return ""
    if token.kind == "newline" and before.kind in {"+", "-"}:
        op = before.kind
        if tokens[max(0, at - 2)].kind == op:
            return f"Starlark has no {op}{op}; write x {op}= 1"
    if before.kind in {"newline", "outdent"} or at == 0:
        return _LEADING.get(token.kind, "")
    return ""


def _want_hint(before: Token, token: Token, want: str) -> str:
    if want == "primary expression":
        return _NO_OPERAND.get(token.kind, "")
    match token.kind:
        case "=" if want == "newline":
            return "assign to one target at a time"
        case "=" if before.kind in KEYWORDS:
            return f"{before.kind} is a reserved word"
        case "=":
            return "to compare write =="
        case ":" if want in {"newline", "','"}:
            return "Starlark has no annotations"
        case "," | "}" if want == "':'":
            return "Starlark has no sets; a dict has keys: {k: True}"
    return _NO_OPERATOR.get(token.kind, "")
