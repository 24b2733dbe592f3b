"""The syntax tree of a script: what the parser makes and everything else reads.

Positions are (line, column), both from 1, columns in code points.  `pos` is where an
error in the node is reported, after the Go implementation: the operator of a binary
expression or of an assignment, the parenthesis of a call, the bracket of an index or a
slice, the colon of a dict entry, the dot of a selection; for every other node it is the
node's first character.  `start` is always the first character.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias


class Pos(NamedTuple):
    """A place in a source file: line and column, both from 1."""

    line: int
    column: int


@dataclass(slots=True)
class Node:
    """The base of all nodes."""

    start: Pos
    pos: Pos


# Expressions


@dataclass(slots=True)
class Name(Node):
    """An identifier; `scope` is filled in by the resolver."""

    name: str
    scope: "Scope | None" = None


# Where a name lives: a local of its function, a local shared with nested functions, a
# variable of an enclosing function, a global of the file, a name of the host or of the
# universe of built-ins.
Scope: TypeAlias = Literal["local", "cell", "free", "global", "host", "universal"]


@dataclass(slots=True)
class Literal_(Node):
    """A literal: None is a name in Starlark, so this is int, float, str or bytes."""

    value: int | float | str | bytes


@dataclass(slots=True)
class ListExpr(Node):
    """`[a, b]`."""

    items: "list[Expr]"


@dataclass(slots=True)
class TupleExpr(Node):
    """`(a, b)` or, bare, `a, b`."""

    items: "list[Expr]"
    parenthesised: bool


@dataclass(slots=True)
class DictEntry(Node):
    """`key: value`; pos is the colon."""

    key: "Expr"
    value: "Expr"


@dataclass(slots=True)
class DictExpr(Node):
    """`{k: v}`."""

    entries: list[DictEntry]


@dataclass(slots=True)
class Paren(Node):
    """`(x)`, kept because `f((a)=1)` is an error that `f(a=1)` is not."""

    inner: "Expr"


@dataclass(slots=True)
class Unary(Node):
    """`-x`, `+x`, `~x`, `not x`."""

    op: str
    operand: "Expr"


@dataclass(slots=True)
class Binary(Node):
    """`x op y`, the operators `and`, `or`, `in` and `not in` included."""

    op: str
    left: "Expr"
    right: "Expr"


@dataclass(slots=True)
class Conditional(Node):
    """`yes if test else no`."""

    test: "Expr"
    yes: "Expr"
    no: "Expr"


@dataclass(slots=True)
class Dot(Node):
    """`x.name`."""

    operand: "Expr"
    name: str
    name_pos: Pos


@dataclass(slots=True)
class Index(Node):
    """`x[y]`."""

    operand: "Expr"
    index: "Expr"


@dataclass(slots=True)
class Slice(Node):
    """`x[lo:hi:step]`; an absent part is None."""

    operand: "Expr"
    lo: "Expr | None"
    hi: "Expr | None"
    step: "Expr | None"


@dataclass(slots=True)
class Argument(Node):
    """One argument of a call: positional, `name=value`, `*value` or `**value`."""

    kind: Literal["positional", "keyword", "star", "starstar"]
    value: "Expr"
    name: str = ""


@dataclass(slots=True)
class Call(Node):
    """`f(...)`."""

    function: "Expr"
    arguments: list[Argument]


@dataclass(slots=True)
class Parameter(Node):
    """One parameter of a function; the kind `bare_star` is a lone `*`."""

    kind: Literal["plain", "default", "star", "starstar", "bare_star"]
    name: "Name | None"
    default: "Expr | None" = None


@dataclass(slots=True)
class FunctionInfo:
    """
    What the resolver finds out about a `def`, a lambda or the file itself.

    `locals` are all its variables, parameters first and those of its comprehensions
    included; `cells` are the ones among them that functions inside of it use; `free`
    are the variables that it, or a function inside of it, uses of functions around it.
    """

    locals: list[str]
    cells: list[str]
    free: list[str]


@dataclass(slots=True)
class Lambda(Node):
    """`lambda params: body`."""

    parameters: list[Parameter]
    body: "Expr"
    info: FunctionInfo | None = None


@dataclass(slots=True)
class ForClause(Node):
    """`for target in iterable` of a comprehension."""

    target: "Expr"
    iterable: "Expr"


@dataclass(slots=True)
class IfClause(Node):
    """`if test` of a comprehension."""

    test: "Expr"


@dataclass(slots=True)
class Comprehension(Node):
    """`[body for ...]` or `{key: value for ...}` (`body` is then a DictEntry)."""

    body: "Expr | DictEntry"
    clauses: list[ForClause | IfClause]
    is_dict: bool
    # The names that the comprehension binds.  The resolver renames them, here and in
    # every Name, to `x!1`, `x!2`, ..., unique in the file, so that they cannot meet a
    # variable of the function around them; what comes before the `!` is the script's.
    bound: list[str]


Expr: TypeAlias = (
    Name
    | Literal_
    | ListExpr
    | TupleExpr
    | DictExpr
    | Paren
    | Unary
    | Binary
    | Conditional
    | Dot
    | Index
    | Slice
    | Call
    | Lambda
    | Comprehension
)


# Statements


@dataclass(slots=True)
class ExprStmt(Node):
    """An expression as a statement."""

    value: Expr


@dataclass(slots=True)
class Assign(Node):
    """`target = value`; pos is the operator."""

    target: Expr
    value: Expr


@dataclass(slots=True)
class AugmentedAssign(Node):
    """`target op= value`; `op` is without the `=`; pos is the operator."""

    target: Expr
    op: str
    value: Expr


@dataclass(slots=True)
class Return(Node):
    """`return value`."""

    value: Expr | None


@dataclass(slots=True)
class Break(Node):
    """`break`."""


@dataclass(slots=True)
class Continue(Node):
    """`continue`."""


@dataclass(slots=True)
class Pass(Node):
    """`pass`."""


@dataclass(slots=True)
class If(Node):
    """`if`; an `elif` is an `If` alone in `orelse`."""

    test: Expr
    body: "list[Stmt]"
    orelse: "list[Stmt]"


@dataclass(slots=True)
class For(Node):
    """`for target in iterable:`."""

    target: Expr
    iterable: Expr
    body: "list[Stmt]"


@dataclass(slots=True)
class Def(Node):
    """`def name(params):`."""

    name: Name
    parameters: list[Parameter]
    body: "list[Stmt]"
    info: FunctionInfo | None = None


@dataclass(slots=True)
class LoadBinding(Node):
    """`local = "exported"` of a load."""

    local: Name
    exported: str


@dataclass(slots=True)
class Load(Node):
    """`load("module", "a", b="c")`."""

    module: str
    module_pos: Pos
    bindings: list[LoadBinding]


Stmt: TypeAlias = (
    ExprStmt
    | Assign
    | AugmentedAssign
    | Return
    | Break
    | Continue
    | Pass
    | If
    | For
    | Def
    | Load
)


@dataclass(slots=True)
class File:
    """A whole source file; `info` is about variables of top-level comprehensions."""

    name: str
    body: list[Stmt]
    info: FunctionInfo | None = None
