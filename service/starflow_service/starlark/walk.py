"""Ways through the syntax tree for passes that look at a few kinds of nodes only."""

from collections.abc import Iterator

from starflow_service.starlark import syntax
from starflow_service.starlark.syntax import Expr, Stmt


def children(node: Expr) -> list[Expr]:
    """
    Return the expressions that evaluating *node* evaluates, in about that order.

    The body of a lambda is none of them: it is another function's.
    """
    match node:
        case syntax.ListExpr(items=items) | syntax.TupleExpr(items=items):
            return list(items)
        case syntax.DictExpr(entries=entries):
            return [part for entry in entries for part in (entry.key, entry.value)]
        case syntax.Paren(inner=inner):
            return [inner]
        case syntax.Unary(operand=operand) | syntax.Dot(operand=operand):
            return [operand]
        case syntax.Binary(left=left, right=right):
            return [left, right]
        case syntax.Conditional(test=test, yes=yes, no=no):
            return [test, yes, no]
        case syntax.Index(operand=operand, index=index):
            return [operand, index]
        case syntax.Slice(operand=operand, lo=lo, hi=hi, step=step):
            return [operand, *(part for part in (lo, hi, step) if part is not None)]
        case syntax.Call(function=function, arguments=arguments):
            return [function, *(argument.value for argument in arguments)]
        case syntax.Lambda(parameters=parameters):
            return [p.default for p in parameters if p.default is not None]
        case syntax.Comprehension():
            return _comprehension(node)
        case _:
            return []


def _comprehension(node: syntax.Comprehension) -> list[Expr]:
    parts: list[Expr] = []
    for clause in node.clauses:
        if isinstance(clause, syntax.ForClause):
            parts.extend((clause.iterable, clause.target))
        else:
            parts.append(clause.test)
    if isinstance(node.body, syntax.DictEntry):
        return [*parts, node.body.key, node.body.value]
    return [*parts, node.body]


def walk(node: Expr) -> Iterator[Expr]:
    """Yield *node* and everything below it, the bodies of lambdas excluded."""
    pending = [node]
    while pending:
        found = pending.pop()
        yield found
        pending.extend(children(found))


def expressions(node: Stmt) -> list[Expr]:
    """
    Return the expressions of a statement itself.

    Neither those of the statements within it, nor the body of a `def`.
    """
    match node:
        case syntax.ExprStmt(value=value):
            return [value]
        case syntax.Assign(target=target, value=value):
            return [target, value]
        case syntax.AugmentedAssign(target=target, value=value):
            return [target, value]
        case syntax.Return(value=value):
            return [] if value is None else [value]
        case syntax.If(test=test):
            return [test]
        case syntax.For(target=target, iterable=iterable):
            return [iterable, target]
        case syntax.Def(parameters=parameters):
            return [p.default for p in parameters if p.default is not None]
        case _:
            return []
