"""
Programs by chance: sentences of the grammar whose parts mostly fit together.

A program of parts that do not fit ends at its first line.  So expressions are made to
be of a kind (an int, a list), with one in ten of another kind than is wanted, and most
lines are wrapped so that the program survives them where the language can do that.
"""

from random import Random

from tests.fuzz.tables import filled, table
from tests.fuzz.words import (
    BUILTINS,
    KINDS,
    LITERALS,
    MADE_BY,
    MEMBERS,
    METHOD_NAMES,
    OPERATORS,
    UPDATES,
    loads_of,
)

_ARGUMENTS = table(r"""
arguments: {any} ; ; {any} ; {any}, {any} ; {any}, {any}, {any} ; ctx, {any} ; *{list} ;
    {any}, **{dict} ; x={any} ; {list}, key={fn} ; ctx, {fn} ; ctx, {list} ; ctx ;
    {any}, *{list}, x={any}, **{dict} ; {fn}, {any} ; ctx, test.echo, {any} ;
    ctx, name={str}, timeout={int} ; {str}, {str}
""")["arguments"]
_FUNCTIONS = [
    *("test.echo", "test.fail", "test.ask", "shop.v1.order", "test.big", "test.deep"),
]


class Maker:
    """Makes the parts of one program."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)
        # Variables by kind; those of functions around included.
        self.names: dict[str, list[str]] = {}
        self.made = 0
        self.in_main = False

    def pick(self, choices: list[str]) -> str:
        return self.chance.choice(choices)

    def maybe(self, probability: float) -> bool:
        return self.chance.random() < probability

    # Expressions

    def expression(self, kind: str, depth: int) -> str:
        """Return an expression that mostly is of *kind*."""
        if kind == "any" or self.maybe(0.05):
            kind = self.pick(KINDS)
        if kind == "fn":
            return self.function(depth)
        known = self.names.get(kind, [])
        if known and self.maybe(0.5 if depth else 0.7):
            return self.pick(known)
        if depth <= 0 or self.maybe(0.25):
            return f"({self.pick(LITERALS[kind])})"
        if self.maybe(0.25):
            return self.odd(kind, depth - 1)
        return f"({self.filled(self.pick(MADE_BY[kind]), depth - 1)})"

    def filled(self, form: str, depth: int) -> str:
        return filled(form, lambda kind: self.expression(kind, depth))

    def odd(self, kind: str, depth: int) -> str:
        """Return an expression of a form that takes and gives any kind."""
        e = self.expression
        match self.chance.randint(0, 9):
            case 0:
                return f"({e(kind, depth)} if {e('any', depth)} else {e(kind, depth)})"
            case 1:
                op = self.pick(OPERATORS)
                return f"({e('any', depth)} {op} {e('any', depth)})"
            case 2:
                return f"{self.function(depth)}({self.arguments(depth)})"
            case 3:
                return self.comprehension(depth)
            case 4:
                return f"{self.pick(BUILTINS)}({self.arguments(depth)})"
            case 5:
                return f"{self.pick(MEMBERS)}({self.arguments(depth)})"
            case 6:
                owner = e("any", depth)
                return f"{owner}.{self.pick(METHOD_NAMES)}({self.arguments(depth)})"
            case 7:
                return f"{self.pick(_FUNCTIONS)}(ctx, {e('any', depth)})"
            case 8:
                return f"{e('any', depth)}[{e('any', depth)}]"
            case _:
                return f"({e(kind, depth)} {self.pick(['and', 'or'])} {e(kind, depth)})"

    def function(self, depth: int) -> str:
        known = self.names.get("fn", [])
        if known and self.maybe(0.4):
            return self.pick(known)
        if self.maybe(0.2):
            return self.pick([*BUILTINS, *MEMBERS])
        parameter = self.new_name()
        with_it = self.inner({"any": [parameter], "int": [parameter]})
        parameters = self.pick([parameter, f"{parameter}=None", f"*{parameter}"])
        return f"(lambda {parameters}: {with_it.expression('any', depth - 1)})"

    def arguments(self, depth: int) -> str:
        return self.filled(self.pick(_ARGUMENTS), depth - 1)

    def comprehension(self, depth: int) -> str:
        name = self.new_name()
        source = self.pick(["list", "list", "range", "tuple", "dict"])
        clauses = f"for {name} in {self.expression(source, depth)}"
        inner = self.inner({"any": [name], "int": [name]})
        if self.maybe(0.3):
            other = self.new_name()
            clauses += f" for {other} in {inner.expression('list', depth - 1)}"
            inner = inner.inner({"any": [other]})
        if self.maybe(0.3):
            clauses += f" if {inner.expression('bool', depth - 1)}"
        body = inner.expression("any", depth - 1)
        if self.maybe(0.3):
            return f"{{{inner.expression('str', 0)}: {body} {clauses}}}"
        return f"[{body} {clauses}]"

    # Names

    def new_name(self) -> str:
        self.made += 1
        return f"v{self.made}"

    def bind(self, kind: str, name: str) -> None:
        self.names.setdefault(kind, []).append(name)

    def inner(self, more: dict[str, list[str]]) -> "Maker":
        """Return a maker for a block that sees *more* names."""
        maker = Maker(0)
        maker.chance = self.chance
        maker.made = self.made + 100 * self.chance.randint(1, 9)
        maker.names = {kind: list(names) for kind, names in self.names.items()}
        for kind, names in more.items():
            maker.names.setdefault(kind, []).extend(names)
        return maker

    # Statements

    def block(self, indent: int, depth: int, length: int) -> str:
        lines = [self.statement(indent, depth) for _ in range(length)]
        return "".join(lines) or f"{'    ' * indent}pass\n"

    def body(self, length: int) -> str:
        """Return a block most of whose statements cannot end the program."""
        lines = []
        for _ in range(length):
            survives = self.maybe(0.8)
            make = self._guarded if survives else self.statement_at
            lines.append(make("    ", 1, 3))
        return "".join(lines)

    def statement_at(self, pad: str, indent: int, depth: int) -> str:
        return self.statement(indent, depth)

    def statement(self, indent: int, depth: int) -> str:
        pad = "    " * indent
        compound = depth > 0 and self.maybe(0.35)
        forms = (
            [self._if, self._for, self._def, self._guarded]
            if compound
            else [
                self._bind,
                self._bind,
                self._update,
                self._do,
                self._place,
                self._pair,
            ]
        )
        return self.chance.choice(forms)(pad, indent, depth)

    def _bind(self, pad: str, indent: int, depth: int) -> str:
        kind = self.pick(KINDS)
        value = self.expression(kind, 3)
        name = self.new_name()
        if self.maybe(0.5):
            default = self.pick(LITERALS[kind])
            caught = f"flow_catch(lambda: {value})"
            line = f"{pad}{name} = {caught}\n{pad}{name} = "
            line += f"{name}.value if {name}.ok else {default}\n"
        else:
            line = f"{pad}{name} = {value}\n"
        self.bind(kind, name)
        return line

    def _update(self, pad: str, indent: int, depth: int) -> str:
        kind = self.pick(["int", "str", "list", "dict", "float", "tuple"])
        known = self.names.get(kind)
        if not known:
            return self._bind(pad, indent, depth)
        # A variable of this block, for one of another would be an unbound local.
        name = self.new_name()
        op = self.pick(["+=", "+=", *UPDATES])
        value = self.expression(kind, 2)
        return f"{pad}{name} = {self.pick(known)}\n{pad}{name} {op} {value}\n"

    def _do(self, pad: str, indent: int, depth: int) -> str:
        line = self.expression(self.pick(["none", "any", "fn"]), 3)
        if self.maybe(0.7):
            line = f"flow_catch(lambda: {line})"
        return f"{pad}{line}\n"

    def _place(self, pad: str, indent: int, depth: int) -> str:
        owner = self.expression(self.pick(["list", "dict", "any"]), 1)
        index = self.expression(self.pick(["int", "any"]), 1)
        op = self.pick(["=", "=", *UPDATES])
        return f"{pad}{owner}[{index}] {op} {self.expression('any', 2)}\n"

    def _pair(self, pad: str, indent: int, depth: int) -> str:
        first, second, third = (self.new_name() for _ in range(3))
        e = self.expression
        line = self.pick(
            [
                f"{first}, {second} = {e('any', 2)}, {e('any', 2)}",
                f"{first}, {second} = {e('tuple', 2)}",
                f"({first}, [{second}, {third}]) = {e('any', 1)}, {e('list', 1)}",
                f"{first} = {second} = {e('any', 2)}" if self.maybe(0.02) else "pass",
            ]
        )
        return f"{pad}{line}\n"

    def _if(self, pad: str, indent: int, depth: int) -> str:
        text = f"{pad}if {self.expression('bool', 2)}:\n"
        text += self.inner({}).block(indent + 1, depth - 1, 2)
        if self.maybe(0.3):
            text += f"{pad}elif {self.expression('any', 2)}:\n"
            text += self.inner({}).block(indent + 1, depth - 1, 1)
        if self.maybe(0.5):
            text += f"{pad}else:\n" + self.inner({}).block(indent + 1, depth - 1, 1)
        return text

    def _for(self, pad: str, indent: int, depth: int) -> str:
        name = self.new_name()
        kind = self.pick(["list", "range", "dict", "tuple", "list", "str"])
        target = self.pick([name, name, name, f"{name}, {self.new_name()}"])
        text = f"{pad}for {target} in {self.expression(kind, 2)}:\n"
        inner = self.inner({"any": [name], "int": [name]})
        text += inner.block(indent + 1, depth - 1, self.chance.randint(1, 3))
        if self.maybe(0.4):
            word = self.pick(["break", "continue", "pass"])
            test = inner.expression("bool", 1)
            text += f"{pad}    if {test}:\n{pad}        {word}\n"
        return text

    def _def(self, pad: str, indent: int, depth: int) -> str:
        name, a, b = self.new_name(), self.new_name(), self.new_name()
        default = self.expression("any", 1)
        parameters = self.pick(
            [
                *("", a, f"{a}, {b}", f"{a}, {b}={default}", f"*{a}", f"{a}, **{b}"),
                *(f"{a}=1, *{b}", f"{a}, *, {b}", f"{a}, *, {b}=2", f"*{a}, **{b}"),
            ]
        )
        known = [n for n in (a, b) if n in parameters]
        inner = self.inner({"any": known, "int": known, "list": known})
        text = f"{pad}def {name}({parameters}):\n"
        text += inner.block(indent + 1, depth - 1, 2)
        text += f"{pad}    return {inner.expression('any', 2)}\n"
        self.bind("fn", name)
        return text

    def _guarded(self, pad: str, indent: int, depth: int) -> str:
        """A block that the rest of the program survives."""
        name = self.new_name()
        text = f"{pad}def {name}():\n"
        inner = self.inner({})
        text += inner.block(indent + 1, depth - 1, 3)
        text += f"{pad}    return {inner.expression('any', 1)}\n"
        call = self.pick([f"flow_catch({name})", f"flow_spawn(ctx, {name})"])
        return f"{text}{pad}{call}\n"


def make_program(seed: int) -> str:
    """Return the program that *seed* stands for."""
    maker = Maker(seed)
    constants = ""
    for kind in maker.chance.sample(KINDS, 3):
        name = f"G_{kind}"
        constants += f"{name} = {maker.pick(LITERALS[kind])}\n"
        maker.bind(kind, name)
    helper = maker.inner({"any": ["x"], "list": ["z"], "dict": ["k"]})
    helper_text = helper.block(1, 2, maker.chance.randint(1, 3))
    maker.bind("fn", "helper")
    main = maker.inner({"any": ["input"]})
    text = (
        f"{constants}def helper(x=1, *z, **k):\n    ctx = None\n{helper_text}"
        f"    return {helper.expression('any', 2)}\n"
        f"def main(ctx, input):\n{main.body(maker.chance.randint(2, 6))}"
        f"    return {main.expression('any', 1)}\n"
    )
    return loads_of(text) + text
