"""Writes syntax trees as lists in brackets, to compare them with."""

from starflow_service.starlark.syntax import (
    Argument,
    Assign,
    AugmentedAssign,
    Binary,
    Call,
    Comprehension,
    Conditional,
    DictEntry,
    DictExpr,
    Dot,
    Expr,
    ExprStmt,
    ForClause,
    IfClause,
    Index,
    Lambda,
    ListExpr,
    Literal_,
    Name,
    Parameter,
    Paren,
    Slice,
    Stmt,
    TupleExpr,
    Unary,
)

_STARS = {"star": "*", "bare_star": "*", "starstar": "**"}


def sexpr(node: Expr | Stmt | DictEntry) -> str:
    """Return an expression, or a statement that holds no others, as a list."""
    match node:
        case Name(name=name):
            return name
        case Literal_(value=value):
            return repr(value)
        case ListExpr(items=items):
            return _list("list", *map(sexpr, items))
        case TupleExpr(items=items):
            return _list("tuple", *map(sexpr, items))
        case DictExpr(entries=entries):
            return _list("dict", *map(sexpr, entries))
        case DictEntry(key=key, value=value):
            return _list(":", sexpr(key), sexpr(value))
        case Paren(inner=inner):
            return _list("paren", sexpr(inner))
        case Unary(op=op, operand=operand):
            return _list(op, sexpr(operand))
        case Binary(op=op, left=left, right=right):
            return _list(op, sexpr(left), sexpr(right))
        case Conditional(test=test, yes=yes, no=no):
            return _list("if", sexpr(test), sexpr(yes), sexpr(no))
        case Dot(operand=operand, name=name):
            return _list(".", sexpr(operand), name)
        case Index(operand=operand, index=index):
            return _list("index", sexpr(operand), sexpr(index))
        case Slice(operand=operand, lo=lo, hi=hi, step=step):
            parts = [sexpr(part) if part else "_" for part in (lo, hi, step)]
            return _list("slice", sexpr(operand), *parts)
        case Call(function=function, arguments=arguments):
            return _list("call", sexpr(function), *map(_argument, arguments))
        case Lambda(parameters=parameters, body=body):
            return _list("lambda", *map(_parameter, parameters), sexpr(body))
        case Comprehension(body=body, clauses=clauses, is_dict=is_dict):
            kind = "dict" if is_dict else "list"
            return _list(f"{kind}-of", sexpr(body), *map(_clause, clauses))
        case ExprStmt(value=value):
            return sexpr(value)
        case Assign(target=target, value=value):
            return _list("=", sexpr(target), sexpr(value))
        case AugmentedAssign(target=target, op=op, value=value):
            return _list(f"{op}=", sexpr(target), sexpr(value))
    raise TypeError(type(node))


def _list(*parts: str) -> str:
    return f"({' '.join(parts)})"


def _argument(argument: Argument) -> str:
    name = f"{argument.name}=" if argument.name else _STARS.get(argument.kind, "")
    return name + sexpr(argument.value)


def _parameter(parameter: Parameter) -> str:
    name = parameter.name.name if parameter.name else ""
    default = f"={sexpr(parameter.default)}" if parameter.default else ""
    return _STARS.get(parameter.kind, "") + name + default


def _clause(clause: ForClause | IfClause) -> str:
    if isinstance(clause, ForClause):
        return _list("for", sexpr(clause.target), sexpr(clause.iterable))
    return _list("if", sexpr(clause.test))
