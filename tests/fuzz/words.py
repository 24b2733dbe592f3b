"""What generated programs are made of: literals that hurt, and all built-in names."""

import re

from starflow_service.starlark.access import METHODS
from starflow_service.starlark.builtins import MODULES, UNIVERSE
from tests.fuzz.tables import table

LITERALS = {
    "int": [
        *("0", "1", "-1", "2", "3", "7", "10", "63", "64", "255", "0x10", "0o17"),
        *("0b101", "100", "1000", "99999", "100000", "1 << 31", "1 << 62", "1 << 63"),
        *("-(1 << 63)", "1 << 64", "10 * 1", "1 << 511"),
        *("-(1 << 300)", "1114111", "1114112", "55296", "1000000000000000000000"),
    ],
    "float": [
        *("0.0", "-0.0", "1.0", "0.5", "-2.5", "1.5", ".5", "5.", "1e300", "1e-300"),
        *("5e-324", "1.7976931348623157e308", 'float("nan")', 'float("inf")'),
        *('float("-inf")', "9007199254740993.0", "1e15", "1e16", "1e17", "123456.789"),
    ],
    "str": [
        *('""', '"a"', '"abc"', "'b'", '"é世😀"', r'r"\d"', '"""x\ny"""', r'"\x00\t"'),
        *('"%s %d"', '"%r%%%c"', '"%x%o%e%g%f"', '"{} {x} {}"', '"{0}{1}{{}}"'),
        *('"{x!r}"', '"%(a)s"', '"a,b,,c"', '"  a b  "', '"Hello World"', '"ǅ ß ﬁ İ"'),
        *('"12"', '"-0x1F"', '"1e5"', '"inf"', '"1h30m"', '"2021-03-04T05:06:07Z"'),
        *("'[1, {\"a\": null}]'", '"[[[["', r'"\u0301"', r'"\U0010FFFF"', '"a" * 1000'),
        *('"Europe/Berlin"', '"UTC"', '"2006-01-02"', '"x" * 100000', r'"\n\r\u2028"'),
    ],
    "bytes": ['b""', 'b"ab"', r'b"\xff\x00"', 'bytes("é")', 'b"a" * 1000'],
    "bool": ["True", "False"],
    "list": [
        *("[]", "[1]", "[3, 1, 2]", '["b", "a"]', "[None]", "[[1], [2]]", "[()] * 3"),
        *("list(range(20))", '[("a", 1), ("b", 2)]', "[1.0, 2]", "[0] * 1000"),
    ],
    "dict": ["{}", '{"a": 1}', "{1: 2, 1.5: 3}", '{"a": {"b": []}}', "{(): None}"],
    "tuple": ["()", "(1,)", "(1, 2)", '("a", [1])', "((1, 2), 3)"],
    "range": ["range(0)", "range(5)", "range(10, 0, -3)", "range(1 << 40)"],
    "none": ["None"],
}
KINDS = list(LITERALS)

OPERATORS = [
    *("+", "-", "*", "/", "//", "%", "&", "|", "^", "<<", ">>", "==", "!=", "<", "<="),
    *(">", ">=", "in", "not in", "and", "or"),
]
UPDATES = ["+=", "-=", "*=", "/=", "//=", "%=", "&=", "|=", "^=", "<<=", ">>="]

# What a kind of value is made by.  `any` is any kind, `fn` a function.
MADE_BY = table(r"""
int: {int} + {int} ; {int} - {int} ; {int} * {int} ; {int} // {int} ; {int} % {int} ;
    {int} & {int} ; {int} | {int} ; {int} ^ {int} ; ~{int} ; -{int} ; {int} << 3 ;
    {int} >> 2 ; len({list}) ; len({str}) ; int({float}) ; int({str}) ;
    int({str}, 16) ; ord({str}[0]) ; hash({str}) ; abs({int}) ; max({int}, {int}) ;
    min({list}) ; {str}.find({str}) ; {str}.count({str}) ; {list}.index({any}) ;
    {list}[{int}] ; {range}[1] ; math_floor({float}) ; math_ceil({float}) ;
    rand_int(ctx, 10) ; len({dict}) ;
    flow_first(ctx, [flow_spawn(ctx, {fn}), flow_start(ctx, test.echo, {any})])[0]
float: {float} + {float} ; {int} / {int} ; {float} * {int} ; {float} // {float} ;
    {float} % {float} ; -{float} ; float({int}) ; float({str}) ; abs({float}) ;
    math_sqrt({float}) ; math_pow({float}, {int}) ; {float} - {int}
str: {str} + {str} ; {str} * 3 ; {str}[{int}:{int}] ; {str}[::-1] ; {str}[0] ;
    str({any}) ; repr({any}) ; type({any}) ; {str}.upper() ; {str}.title() ;
    {str}.join({list}) ; {str}.replace({str}, {str}) ; {str}.strip({str}) ;
    {str} % {any} ; {str} % ({any}, {any}) ; {str} % {dict} ; chr({int}) ;
    {str}.format({any}, x={any}) ; json_encode({any}) ; json_indent({str}) ;
    str({bytes}) ; {str}.capitalize() ; json_encode_indent({any}) ;
    ",".join([str(v) for v in {list}]) ; {str}.removeprefix({str}) ;
    flow_catch(fail, {any}).error.message ; flow_catch({fn}, {any}).error.code ;
    flow_wait_signal(ctx, "go", timeout=time_second, default={str}) ; time_now(ctx) ;
    str(flow_catch(test.fail, ctx, {any})) ; uuid_v4(ctx) ; hashlib_sha256({str})
bytes: bytes({str}) ; bytes([65, 255]) ; {bytes}[1:] ; {bytes} + {bytes}
bool: {int} < {int} ; {any} == {any} ; not {any} ; {any} in {list} ; {str} in {str} ;
    {str} not in {dict} ; bool({any}) ; any({list}) ; all({list}) ;
    {str}.startswith({str}) ; {str}.endswith(({str}, {str})) ; hasattr({any}, {str}) ;
    {list} <= {list} ; {tuple} < {tuple} ; flow_catch({fn}, {any}).ok
list: {list} + {list} ; {list} * 2 ; {list}[{int}:] ; {list}[::{int}] ;
    [{any}, {any}] ; sorted({list}) ; sorted({list}, key={fn}, reverse=True) ;
    list({tuple}) ; list({dict}) ; reversed({list}) ; {dict}.items() ; {dict}.keys() ;
    {dict}.values() ; {str}.split({str}) ; {str}.splitlines() ; list({str}.elems()) ;
    list({bytes}.elems()) ; enumerate({list}) ; zip({list}, {list}) ; dir({any}) ;
    json_decode({str}) ; {str}.split() ; {str}.rsplit({str}, 1) ;
    list({str}.codepoints()) ; rand_shuffle(ctx, {list}) ;
    flow_wait(ctx, [flow_start(ctx, test.echo, {any}), flow_spawn(ctx, {fn}, {any})]) ;
    flow_map(ctx, test.echo, {list}, max_concurrency={int}) ;
    flow_map(ctx, test.fail, {list}, errors="return") ;
    [flow_spawn(ctx, {fn}, {any}), flow_start(ctx, test.ask, {any})]
dict: {{{any}: {any}}} ; {{{str}: {any}, {int}: {any}}} ; dict({dict}) ;
    dict({list}) ; dict(a={any}, b={any}) ; {dict} | {dict} ;
    {{v: v for v in {list}}} ; {{str(k): v for k, v in {dict}.items()}}
tuple: ({any}, {any}) ; tuple({list}) ; {tuple} + {tuple} ; {tuple}[1:] ;
    {str}.partition({str}) ; {dict}.popitem() ; {tuple} * 2 ; ({any},) ;
    flow_first(ctx, {list}, cancel_rest={bool}) ;
    flow_call(ctx, test.deep, {any}, timeout=time_minute, retry={{"max_attempts": 2}})
range: range({int}) ; range({int}, {int}, {int}) ; {range}[1:] ; range(9)[::2]
none: {list}.append({any}) ; {list}.extend({list}) ; {list}.insert({int}, {any}) ;
    {dict}.update({dict}) ; {list}.clear() ; {list}.remove({any}) ;
    print({any}, {any}, sep={str}) ; {dict}.clear() ; {dict}.get({any}) ;
    flow_defer(ctx, {fn}, {any}) ;
    flow_defer(ctx, test.echo, ctx, {any}, on="failure") ;
    flow_set_status(ctx, {str}, progress={float}, data={any}) ;
    time_sleep(ctx, {int} * time_second) ; flow_spawn(ctx, {fn}, {any})
""")

METHOD_NAMES = sorted({name for methods in METHODS.values() for name in methods})
BUILTINS = sorted(UNIVERSE.keys() - {"None", "True", "False", "fail"})
# What a module's member is called in a program.
MEMBERS = [
    f"{module}_{member}"
    for module, found in sorted(MODULES.items())
    for member in sorted(found.members)
]


def loads_of(text: str) -> str:
    """Return the loads of all members of modules that *text* names."""
    used = _NAME.findall(text)
    lines = []
    for module, found in sorted(MODULES.items()):
        names = [n for n in sorted(found.members) if f"{module}_{n}" in used]
        if names:
            bindings = ", ".join(f'{module}_{name}="{name}"' for name in names)
            lines.append(f'load("{module}", {bindings})\n')
    return "".join(lines)


_NAME = re.compile(r"[a-z0-9]+_\w+")
