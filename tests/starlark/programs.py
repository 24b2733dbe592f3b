"""Random programs: sentences of the grammar, with names that mostly exist."""

import random

from starflow_service.starlark.access import METHODS
from starflow_service.starlark.builtins import MODULES, UNIVERSE

LITERALS = [
    "0", "1", "-1", "2", "7", "100", "1 << 62", "1 << 64", "-(1 << 300)", "0.0", "1.5",
    "-2.5", "1e300", '""', '"a"', '"abc"', '"é世😀"', '"%s %d"', '"{} {x}"', '"a,b"',
    "None", "True", "False", "[]", "{}", "()", "(1,)", 'b"ab"',
]  # fmt: skip
BINARY = [
    "+", "-", "*", "/", "//", "%", "&", "|", "^", "<<", ">>", "==", "!=", "<", "<=",
    ">", ">=", "in", "not in", "and", "or",
]  # fmt: skip
METHOD_NAMES = sorted({name for methods in METHODS.values() for name in methods})
BUILTINS = sorted(UNIVERSE.keys() - {"None", "True", "False", "fail"})
# What a module's member is called in a program, and the load that binds it.
MEMBERS = [
    f"{module}_{member}"
    for module, found in sorted(MODULES.items())
    for member in sorted(found.members)
]
LOADS = "\n".join(
    f'load("{module}", '
    + ", ".join(f'{module}_{member}="{member}"' for member in sorted(found.members))
    + ")"
    for module, found in sorted(MODULES.items())
)


class Programs:
    """Makes programs out of a seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.names = ["ctx", "input", "x", "y", "z", "g"]

    def program(self) -> str:
        body = "".join(self.statement(1, 3) for _ in range(self.random.randint(1, 3)))
        helper = "".join(self.statement(1, 2) for _ in range(2))
        return (
            f"{LOADS}\n"
            f"def helper(x, y=1, *z, **g):\n    ctx = None; input = x\n{helper}"
            f"    return {self.expression(2)}\n"
            f"def main(ctx, input):\n    x, y, z, g = 1, [1, 2], {{'a': 1}}, helper\n"
            f"{body}    return {self.expression(3)}\n"
        )

    def statement(self, indent: int, depth: int) -> str:
        pad = "    " * indent
        e = self.expression
        kind = self.random.randint(0, 9 if depth else 5)
        if kind <= 1:
            return f"{pad}{e(3)}\n"
        if kind == 2:
            return f"{pad}{self.target()} = {e(3)}\n"
        if kind == 3:
            op = self.random.choice(["+", "-", "*", "//", "%", "|", "&", "<<"])
            return f"{pad}{self.random.choice(self.names[2:])} {op}= {e(2)}\n"
        if kind == 4:
            return f"{pad}x, y = {e(2)}, {e(2)}\n"
        if kind == 5:
            return f"{pad}{e(1)}[{e(1)}] {self.random.choice(['=', '+='])} {e(2)}\n"
        body = self.statement(indent + 1, depth - 1)
        if kind == 6:
            other = self.statement(indent + 1, depth - 1)
            return f"{pad}if {e(2)}:\n{body}{pad}else:\n{other}"
        if kind == 7:
            stop = self.random.choice(["", f"{pad}    break\n", f"{pad}    continue\n"])
            return f"{pad}for {self.target()} in {e(2)}:\n{body}{stop}"
        if kind == 8:
            return f"{pad}def g(x=None, *y):\n{body}{pad}    return {e(2)}\n"
        return f"{pad}z = {self.comprehension(2)}\n"

    def target(self) -> str:
        return self.random.choice(["x", "y", "z", "g", "x, y", "(x, [y, z])"])

    def expression(self, depth: int) -> str:
        if depth == 0 or self.random.random() < 0.2:
            if self.random.random() < 0.5:
                return self.random.choice(self.names)
            return self.random.choice(LITERALS)
        e = self.expression
        d = depth - 1
        match self.random.randint(0, 13):
            case 0 | 1 | 2:
                return f"({e(d)} {self.random.choice(BINARY)} {e(d)})"
            case 3:
                return f"({self.random.choice(['-', '+', '~', 'not '])}{e(d)})"
            case 4:
                return f"({e(d)} if {e(d)} else {e(d)})"
            case 5:
                return f"[{e(d)}, {e(d)}]"
            case 6:
                return f"{{{e(d)}: {e(d)}}}"
            case 7:
                return f"({e(d)})[{e(d)}]"
            case 8:
                return f"({e(d)})[{e(d)}:{e(d)}]"
            case 9:
                return self.comprehension(d)
            case 10:
                return f"(lambda x, y=1: {e(d)})({e(d)})"
            case 11:
                function = self.random.choice([*BUILTINS, *MEMBERS, "helper", "g"])
                return f"{function}({self.arguments(d)})"
            case _:
                name = self.random.choice(METHOD_NAMES)
                return f"({e(d)}).{name}({self.arguments(d)})"

    def arguments(self, depth: int) -> str:
        e = self.expression
        return self.random.choice(
            [
                "",
                e(depth),
                e(depth),
                f"{e(depth)}, {e(depth)}",
                f"{e(depth)}, {e(depth)}, {e(depth)}",
                f"{e(depth)}, key=lambda x: {e(depth)}",
                f"ctx, {e(depth)}",
                f"*{e(depth)}",
                f"{e(depth)}, **{e(depth)}",
                f"x={e(depth)}",
            ]
        )

    def comprehension(self, depth: int) -> str:
        e = self.expression
        test = f" if {e(depth)}" if self.random.random() < 0.3 else ""
        clause = f"for {self.target()} in {e(depth)}{test}"
        if self.random.random() < 0.3:
            return f"{{{e(depth)}: {e(depth)} {clause}}}"
        return f"[{e(depth)} {clause}]"
