"""
Programs that mean the same in Starlark and in Python, by chance.

Only what both languages define alike is used: booleans are no numbers here, strings
are not iterated over, nothing changes while it is looped over, and no message is
compared.  What is left are integers, floats, strings, lists, dicts and tuples, with
their operators, methods, slices, comprehensions, loops, functions and closures; and
where they fail.
"""

import re
from random import Random

from tests.fuzz.tables import filled, table

_LITERALS = table(r"""
int: 0 ; 1 ; 2 ; 3 ; -1 ; -7 ; 10 ; 255 ; 2147483648 ; -9223372036854775809 ;
    123456789012345678901234567890
small: 0 ; 1 ; 2 ; 3 ; -1 ; -2 ; 5
float: 0.0 ; 1.0 ; -1.5 ; 0.5 ; 2.25 ; 1e10 ; -0.125 ; 3.0 ; 1e100
str: "" ; "a" ; "ab" ; "b" ; "Hello World" ; "a,b,,c" ; "  x y " ; "12" ; "-7" ;
    "abcabc" ; "é世😀" ; "x\ny" ; "zz" ; "aXbX"
bool: True ; False
ints: [] ; [1] ; [3, 1, 2] ; [5, 5, -1, 0] ; [10, 20, 30, 40, 50]
strs: [] ; ["b", "a", "c"] ; ["x"] ; ["aa", "a", ""]
dict: {} ; {"a": 1} ; {"b": 2, "a": 1, "c": 3} ; {"x": -5}
pair: (1, 2) ; (-3, 7) ; (0, 0)
""")
KINDS = list(_LITERALS)

_MADE_BY = table(r"""
int: {int} + {int} ; {int} - {int} ; {int} * {int} ; {int} // {int} ; {int} % {int} ;
    {int} & {int} ; {int} | {int} ; {int} ^ {int} ; ~{int} ; -{int} ; +{int} ;
    {int} << 3 ; {int} >> 2 ; {small} << 70 ; len({ints}) ; len({str}) ; len({dict}) ;
    abs({int}) ; max({int}, {int}) ; min({ints}) ; max({ints}) ; int({str}) ;
    int({float}) ; ord({str}) ; {str}.find({str}) ; {str}.rfind({str}) ;
    {str}.count({str}) ; {str}.index({str}) ; {pair}[0] ; {ints}[{small}] ;
    {ints}.index({int}) ; {dict}[{str}] ; {ints}.pop() ; {dict}.get({str}, {int}) ;
    {dict}.setdefault({str}, {int}) ; {pair}[-1] ; {dict}.pop({str}, {int}) ;
    int({str}, 16) ; len({strs}) ; helper({int}) ; ({int} if {bool} else {int}) ;
    (lambda q: q * q)({int}) ; inner({small}) ; ({int} or {int}) ; ({int} and {int}) ;
    len(range({small}, 20, 3)) ; range(3, 30, 4)[{small}] ; min({int}, {small}) ;
    int({bool}) ; sorted({ints})[{small}] ; [v for v in {ints}][{small}] ;
    {dict}.pop({str})
float: {float} + {float} ; {float} - {float} ; {float} * {float} ; {int} / {small} ;
    {float} / {float} ; ({small} + 0.5) // {small} ; {float} % {float} ; -{float} ;
    float({small}) ; float({str}) ; abs({float}) ; max({float}, {float}) ;
    {float} * {small} ; {small} - {float} ; {float} % {small}
str: {str} + {str} ; {str} * {small} ; {str}[{small}] ; {str}[{small}:{small}] ;
    {str}[::-1] ; {str}[{small}:] ; {str}[:{small}] ; {str}[::{small}] ; str({int}) ;
    str({small} / 4) ; {str}.replace({str}, {str}) ; {str}.join({strs}) ;
    {str}.strip() ; {str}.lstrip("ax ") ; {str}.rstrip("by ") ; chr({small} + 70) ;
    "%d|%s|%x" % ({int}, {str}, {int}) ; "{{}}-{{}}".format({int}, {str}) ;
    "{{1}}{{0}}".format({str}, {int}) ; "%s%%" % {str} ; {strs}[{small}] ;
    "{{a}}".format(a={str}) ; {str}.partition({str})[{small}] ; type_of({any}) ;
    {str}.removeprefix({str}) ; {str}.removesuffix({str}) ; {strs}.pop() ;
    ({str} if {bool} else {str}) ; ({str} or {str}) ; str({bool}) ; min({strs}) ;
    "%o %c" % ({small} + 8, {small} + 65) ; {str}.upper() ; {str}.lower()
bool: {int} < {int} ; {int} == {int} ; {str} < {str} ; {ints} == {ints} ;
    {int} in {ints} ; {str} in {str} ; {str} in {dict} ; not {bool} ;
    {str}.startswith({str}) ; {str}.endswith({str}) ; bool({ints}) ;
    {float} <= {float} ; {ints} < {ints} ; {pair} >= {pair} ; {str} != {str} ;
    {bool} and {bool} ; {bool} or {bool} ; any({ints}) ; all({strs}) ;
    {str} not in {strs} ; {dict} == {dict} ; {int} != {float} ; {int} == {float} ;
    {str}.isdigit() ; {strs} > {strs} ; {int} in {dict}.values()
ints: {ints} + {ints} ; {ints} * {small} ; {ints}[{small}:{small}] ; {ints}[::-1] ;
    [{int}, {int}] ; sorted({ints}) ; sorted({ints}, reverse={bool}) ;
    [v + {int} for v in {ints}] ; [v for v in {ints} if v > {int}] ;
    list(range({small})) ; list(range({small}, 9, {small})) ; list({pair}) ;
    [v * w for v in {ints} for w in {ints}] ; list({dict}.values()) ;
    [len(v) for v in {strs}] ; sorted({ints}, key=lambda v: -v) ; {ints}[::{small}] ;
    [i * v for i, v in enumerate({ints})] ; list(reversed({ints})) ;
    [v + w for v, w in zip({ints}, {ints})] ; [int(v) for v in {strs}]
strs: {strs} + {strs} ; {str}.split({str}) ; {str}.split() ; sorted({strs}) ;
    [{str}, {str}] ; list({dict}.keys()) ; [str(v) for v in {ints}] ;
    {str}.split({str}, {small}) ; {str}.rsplit({str}, 1) ; {str}.splitlines() ;
    list({str}.partition({str})) ; [v * 2 for v in {strs}] ; sorted({dict}) ;
    sorted({strs}, key=lambda v: (len(v), v)) ; {strs}[{small}:] ; list({dict}) ;
    sorted({strs}, key=len, reverse=True)
dict: {{{str}: {int}}} ; {{"j" + {str}: {int}, "k" + {str}: {int}}} ; dict({dict}) ;
    {dict} | {dict} ; {{v: len(v) for v in {strs}}} ; dict([({str}, {int})]) ;
    dict(a={int}) ; {{str(v): v for v in {ints}}} ;
    {{k: v + 1 for k, v in {dict}.items()}} ; dict(zip({strs}, {ints}))
pair: ({int}, {int}) ; divide({int}, {int}) ; {pair}[::-1] ;
    ({pair} if {bool} else {pair})
""")

# What fails for some values of its kinds.
_RISKS = re.compile(
    r"\[\{small\}\]|\[\{str\}\]|pop\(|remove\(|index\(|min\(|max\(|//|%|/ |ord\("
    r"|int\(\{(?:str|float)|float\(\{str|:\{small\}\]|partition\(\{str|split\(\{str"
    r"|range\(|chr\(|zip\(|int\(v\)|divide\("
)
_SURE = {
    kind: [form for form in forms if not _RISKS.search(form)]
    for kind, forms in _MADE_BY.items()
}

# What is done with variables, whose kinds end in `_name`.
_DONE = table(r"""
done: {ints_name}.append({int}) ; {ints_name}.extend({ints}) ; {dict_name}.clear() ;
    {ints_name}.insert({small}, {int}) ; {ints_name}[{small}] = {int} ;
    caught(lambda: {ints_name}.remove({int})) ; {dict_name}[{str}] = {int} ;
    caught(lambda: put({ints_name}, {small}, {int})) ; {dict_name}[{str}] -= {int} ;
    caught(lambda: put({dict_name}, {str}, {int})) ; ints_a += [{int}] ;
    {dict_name}.update({dict}) ; {ints_name} += {ints} ; {strs_name}.append({str}) ;
    {int_name} += {int} ; {int_name} *= {small} ; {str_name} += {str} ;
    {int_name} //= 3 ; {int_name} %= -7 ; {int_name} -= {int} ; seen.append({any}) ;
    seen.append({any}) ; seen.append({int_name}) ;
    caught(lambda: {ints_name}.pop({small})) ;
    {int_name}, {str_name} = {int}, {str} ; ({int_name}, _) = {pair} ;
    [{int_name}, [{str_name}]] = [{int}, [{str}]] ; {dict_name} |= {dict} ;
    {ints_name}.clear() ; seen.append(caught(lambda: {any})) ;
    seen.append(caught(lambda: {any})) ; seen.append(caught(lambda: {any})) ;
    seen.append(caught(lambda: {any})) ; seen.append(caught(lambda: {any}))
""")["done"]

_HEAD = """\
def type_of(x):
    return str(type(x) == type(1)) + str(type(x) == type(""))

def divide(a, b):
    return (a // b, a % b)

def put(x, i, v):
    x[i] = v
    x[i] += v
    return len(x)

def helper(n, m=2, *rest, **named):
    total = n * m
    for r in rest:
        total += r
    return total + len(named)

def main(seen):
    int_a, int_b, str_a, str_b = 1, -3, "ab", ""
    ints_a, ints_b, strs_a, strs_b = [1, 2], [], ["x", "yy"], []
    dict_a, dict_b = {"a": 1}, {}
    def inner(k):
        return k + len(ints_b) + int_c
    int_c = 5
"""


class _Maker:
    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)
        self.made = 0
        # Whether a failure is caught, or wanted.
        self.may_fail = False

    def expression(self, kind: str, depth: int) -> str:
        """Return an expression of *kind*, which fails only where that is caught."""
        if kind == "any":
            kind = self.chance.choice(KINDS)
        if kind.endswith("_name"):
            return f"{kind.removesuffix('_name')}_{self.chance.choice('ab')}"
        roll = self.chance.random()
        if kind in ("int", "str", "ints", "strs", "dict") and roll < 0.3:
            return self.expression(f"{kind}_name", 0)
        if depth <= 0 or kind == "small" or roll < 0.45:
            return f"({self.chance.choice(_LITERALS[kind])})"
        forms = _MADE_BY if self.may_fail else _SURE
        return f"({self.filled(self.chance.choice(forms[kind]), depth - 1)})"

    def filled(self, form: str, depth: int) -> str:
        return filled(form, lambda kind: self.expression(kind, depth))

    def block(self, indent: int, depth: int, length: int) -> str:
        return "".join(self.statement(indent, depth) for _ in range(length))

    def statement(self, indent: int, depth: int) -> str:
        pad = "    " * indent
        roll = self.chance.random()
        if depth and roll < 0.12:
            test = self.expression("bool", 2)
            text = f"{pad}if {test}:\n{self.block(indent + 1, depth - 1, 2)}"
            return text + f"{pad}else:\n{self.block(indent + 1, depth - 1, 1)}"
        if depth and roll < 0.25:
            return self.loop(pad, indent, depth)
        form = self.chance.choice(_DONE)
        self.may_fail = "caught" in form or self.chance.random() < 0.02
        line = f"{pad}{self.filled(form, 3)}\n"
        self.may_fail = False
        return line

    def loop(self, pad: str, indent: int, depth: int) -> str:
        self.made += 1
        name = f"n{self.made}"
        # A copy, because what is looped over must not change in Starlark.
        source = self.expression(self.chance.choice(["ints", "strs"]), 2)
        text = f"{pad}for {name} in list({source}):\n{pad}    seen.append({name})\n"
        text += self.block(indent + 1, depth - 1, 2)
        if self.chance.random() < 0.3:
            word = self.chance.choice(["break", "continue"])
            text += f"{pad}    if {self.expression('bool', 1)}:\n{pad}        {word}\n"
            text += self.block(indent + 1, 0, 1)
        return text


def make_common(seed: int) -> str:
    """Return the program that *seed* means; `main(seen)` leaves its trace there."""
    maker = _Maker(seed)
    return f"{_HEAD}{maker.block(1, 2, maker.chance.randint(3, 12))}    return int_a\n"
