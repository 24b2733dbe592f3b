"""Methods that values have in Python or JavaScript and not in Starlark."""

from collections.abc import Mapping
from typing import Final

_ITEMS: Final = "d.items(), d.keys() and d.values() give lists"
_SLICES: Final = 'pad it: x + " " * (n - len(x))'
_JS_LIST: Final = "write a comprehension: [f(x) for x in y]"
_CASE: Final = "write x.upper() or x.lower()"
_NO_SETS: Final = "there are no sets; a dict has keys: d[x] = True"

# The Starlark way to do what the method does.
PYTHON_METHODS: Final[Mapping[str, str]] = {
    "add": _NO_SETS,
    "as_integer_ratio": 'load("math", "math") has what there is',
    "bit_count": "count in a loop",
    "bit_length": "divide by 2 in a loop",
    "casefold": "write x.lower()",
    "center": _SLICES,
    "charAt": "write x[i]",
    "concat": "write a + b",
    "copy": "write list(x) or dict(x)",
    "decode": "write str(x)",
    "difference": _NO_SETS,
    "discard": "write d.pop(x, None)",
    "encode": "write bytes(x)",
    "expandtabs": 'write x.replace("\\t", "    ")',
    "fill": "write [x] * n",
    "filter": "write a comprehension: [x for x in y if condition]",
    "forEach": "write a for loop",
    "format_map": "write x.format(**d)",
    "fromkeys": "write {k: value for k in keys}",
    "has_key": "write key in d",
    "hasOwnProperty": "write key in d",
    "hex": 'write "%x" % n',
    "includes": "write x in y",
    "indexOf": "write x.find(y), or list.index(y)",
    "intersection": _NO_SETS,
    "is_integer": "write x == int(x)",
    "isascii": "compare the characters in a loop",
    "isdecimal": "write x.isdigit()",
    "isidentifier": "compare the characters in a loop",
    "isnumeric": "write x.isdigit()",
    "isprintable": "compare the characters in a loop",
    "iteritems": _ITEMS,
    "iterkeys": _ITEMS,
    "itervalues": _ITEMS,
    "length": "write len(x)",
    "ljust": _SLICES,
    "maketrans": "write x.replace(a, b)",
    "map": _JS_LIST,
    "padStart": _SLICES,
    "push": "write x.append(y)",
    "reduce": "write a for loop",
    "reverse": "write reversed(x), which gives a list",
    "rjust": 'pad it: " " * (n - len(x)) + x',
    "size": "write len(x)",
    "sort": "write sorted(x), which gives a list",
    "substring": "write x[a:b]",
    "swapcase": _CASE,
    "toFixed": "write math.round(x * 100) / 100",
    "toLowerCase": "write x.lower()",
    "toString": "write str(x)",
    "toUpperCase": "write x.upper()",
    "to_bytes": "divide by 256 in a loop",
    "translate": "write x.replace(a, b)",
    "trim": "write x.strip()",
    "union": "join dicts with |, lists with +",
    "zfill": 'pad it: "0" * (n - len(x)) + x',
}

# The same of members of modules that Python has under the same name.
PYTHON_MEMBERS: Final[Mapping[tuple[str, str], str]] = {
    ("hashlib", "new"): "write hashlib.sha256(x)",
    ("json", "dump"): "write json.encode(x)",
    ("json", "dumps"): "write json.encode(x)",
    ("json", "load"): "write json.decode(x)",
    ("json", "loads"): "write json.decode(x)",
    ("math", "inf"): 'write float("inf")',
    ("math", "isnan"): "write x != x",
    ("math", "nan"): 'write float("nan")',
    ("rand", "randint"): "write rand.int(ctx, n)",
    ("rand", "random"): "write rand.float(ctx)",
    ("time", "monotonic"): "write time.now(ctx)",
    ("time", "perf_counter"): "write time.now(ctx)",
    ("time", "strftime"): "times have .format(layout)",
    ("time", "strptime"): "write time.parse_time(x, layout)",
    ("uuid", "uuid4"): "write uuid.v4(ctx)",
}
