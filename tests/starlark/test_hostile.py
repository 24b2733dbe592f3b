"""Scripts that want the process: each must end by a typed error, and small.

Every script is the body of `main`, and runs in a process with an address space of
1 GiB.  What is asserted of its memory is far below that.
"""

import json
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PEAK_MIB_MAX = 400
PATIENCE_SECONDS = 60

# Words of Python's that no message may contain.
PYTHON = re.compile(
    r"object has no|object is not|0x[0-9a-f]{6}|<class|!\w|internal|"
    r"starflow_service|positional argument:|NoneType' "
)

SPENT = {"limit"}
REFUSED = {"refused"}
FAILED = {"failed"}
ENDED = {"limit", "failed", "refused"}

# Name, how it has to end, script.
SCRIPTS: list[tuple[str, set[str], str]] = [
    # Time
    ("loop", SPENT, "for i in range(1 << 40): pass"),
    ("nested_loops", SPENT, "\n".join(f"{' ' * d}for x{d} in range(100000):"
     for d in range(8)) + "\n        pass"),
    ("calls", SPENT, """
        def f(): return None
        for i in range(1 << 40): f()
    """),
    ("call_tree", SPENT, """
        def f0(): pass
        def f1(): f0(); f0(); f0(); f0(); f0(); f0(); f0(); f0()
        def f2(): f1(); f1(); f1(); f1(); f1(); f1(); f1(); f1()
        def f3(): f2(); f2(); f2(); f2(); f2(); f2(); f2(); f2()
        def f4(): f3(); f3(); f3(); f3(); f3(); f3(); f3(); f3()
        def f5(): f4(); f4(); f4(); f4(); f4(); f4(); f4(); f4()
        def f6(): f5(); f5(); f5(); f5(); f5(); f5(); f5(); f5()
        def f7(): f6(); f6(); f6(); f6(); f6(); f6(); f6(); f6()
        def f8(): f7(); f7(); f7(); f7(); f7(); f7(); f7(); f7()
        f8()
    """),
    ("lambda_tree", FAILED, """
        f = lambda: None
        for i in range(30):
            f = (lambda g: lambda: (g(), g()))(f)
        f()
    """),
    ("comprehension", SPENT,
     "[0 for a in range(1 << 20) for b in range(1 << 20) if False]"),
    ("sorted_key", SPENT, """
        x = list(range(50000))
        for i in range(1 << 20): sorted(x, key=lambda v: -v)
    """),
    ("sort_strings", SPENT, """
        x = ["a" * 1000 + str(i) for i in range(5000)]
        for i in range(1 << 20): sorted(x)
    """),
    ("equal_lists", SPENT, """
        x = [0] * 100000
        y = [0] * 100000
        for i in range(1 << 20): x == y
    """),
    ("equal_dag", SPENT, """
        x, y = [], []
        for i in range(64):
            x, y = [x, x], [y, y]
        x == y
    """),
    ("hash_dag", ENDED, """
        x = ()
        for i in range(64):
            x = (x, x)
        d = {x: 1}
    """),
    ("compare_dag", ENDED, """
        x, y = (), ()
        for i in range(64):
            x, y = (x, x), (y, y)
        x < y
    """),
    ("str_dag", ENDED, """
        x = []
        for i in range(64):
            x = [x, x]
        str(x)
    """),
    ("freeze_deep", ENDED | {"returned"}, """
        x = []
        for i in range(100000):
            x = [x]
        d = {"x": x}
        str(d)
    """),
    ("find", SPENT, """
        x = "a" * 500000
        y = "a" * 250000 + "b"
        for i in range(1 << 20): y in x
    """),
    ("rfind", SPENT, """
        x = "a" * 500000
        y = "b" + "a" * 250000
        for i in range(1 << 20): x.rfind(y)
    """),
    ("count", SPENT, """
        x = "ab" * 200000
        for i in range(1 << 20): x.count("ba")
    """),
    ("replace", SPENT, """
        x = "a" * 100000
        for i in range(1 << 20): x.replace("a", "b")
    """),
    ("split", SPENT, """
        x = "a " * 40000
        for i in range(1 << 20): x.split(" ")
    """),
    ("strip", SPENT, """
        x = "ab" * 100000
        for i in range(1 << 20): x.strip("cdefghijklmnopqrstuvwxyza")
    """),
    ("upper", SPENT, """
        x = "ß" * 300000
        for i in range(1 << 20): x.upper()
    """),
    ("long_multiplication", SPENT, """
        x = (1 << 500)
        for i in range(6): x = x * x
        for i in range(1 << 30): y = x * x
    """),
    ("long_modulo", SPENT, """
        x = (1 << 500)
        for i in range(6): x = x * x
        for i in range(1 << 30): y = x % 7
    """),
    ("long_text", SPENT, """
        x = (1 << 500)
        for i in range(6): x = x * x
        for i in range(1 << 30): y = str(x)
    """),
    ("long_keys", SPENT, """
        x = (1 << 500)
        for i in range(6): x = x * x
        d = {x: 1}
        for i in range(1 << 30): x in d
    """),
    ("long_string_keys", SPENT, """
        x, y = "a" * 900000, "a" * 899999
        d = {x: 1}
        y = y + "a"
        for i in range(1 << 30): d[y], d.get(y), y in d
    """),
    ("colliding_keys", SPENT, """
        m = (1 << 61) - 1
        d = {}
        for i in range(100000): d[i * m] = i
        for i in range(1 << 30): d[5 * m]
    """),
    ("deleted_entries", SPENT | FAILED, """
        d = {i: i for i in range(100000)}
        for i in range(99999): d.popitem()
        for i in range(1 << 30):
            for k in d: break
    """),
    ("json_round", SPENT, """
        x = [[1, 2.5, "a", None]] * 10000
        for i in range(1 << 20): json.decode(json.encode(x))
    """),
    ("enumerate_zip", SPENT, """
        x = list(range(50000))
        for i in range(1 << 20): zip(enumerate(x), reversed(x))
    """),
    ("percent", SPENT, """
        x = "%s" * 20000
        y = tuple(range(20000))
        for i in range(1 << 20): x % y
    """),
    ("errors", SPENT, """
        for i in range(1 << 30): hasattr("", "x")
    """),
    ("min_strings", SPENT, """
        x = ["a" * 10000] * 10000
        for i in range(1 << 20): max(x)
    """),
    ("index_last", SPENT, """
        x = ["a" * 1000 + str(i) for i in range(10000)]
        for i in range(1 << 20): x.index("a" * 1000 + "9999")
    """),
    # Memory
    ("double_string", SPENT, """
        x = "a"
        for i in range(100): x = x + x
    """),
    ("repeat_string", SPENT, 'x = "a" * (1 << 40)'),
    ("repeat_list", SPENT, "x = [0] * (1 << 40)"),
    ("repeat_tuple", SPENT, "x = (0,) * (1 << 40)"),
    ("double_list", SPENT, """
        x = [0]
        for i in range(100): x += x
    """),
    ("double_tuple", SPENT, """
        x = (0,)
        for i in range(100): x = x + x
    """),
    ("append", SPENT, """
        x = []
        for i in range(1 << 40): x.append(i)
    """),
    ("many_lists", SPENT, """
        x = []
        for i in range(1 << 17):
            x = [x, [], [], [], [], [], [], [], [], []]
        for i in range(1 << 40): x = [x, {}]
    """),
    ("many_dicts", SPENT, """
        x = None
        for i in range(1 << 40): x = {"a": x}
    """),
    ("many_tuples", SPENT, """
        x = None
        for i in range(1 << 40): x = (x, i)
    """),
    ("many_lambdas", SPENT, """
        x = None
        for i in range(1 << 40):
            x = (lambda y: lambda: y)(x)
    """),
    ("many_defs", SPENT, """
        x = []
        for i in range(90000):
            def f(a=i, b=i + 1): return a
            x.append(f)
        for i in range(1 << 40):
            def g(a=x, b=i + 1): return a
            x = g
    """),
    ("many_methods", SPENT, """
        x = [].append
        for i in range(1 << 40): x = [x].append
    """),
    ("many_strings", SPENT, """
        x = []
        for i in range(1 << 40): x.append("a" * 10000 + str(i))
    """),
    ("wide_strings", SPENT, """
        x = []
        for i in range(1 << 40): x.append("😀" * 100000)
    """),
    ("many_ranges", SPENT, """
        x = []
        for i in range(90): x.append(list(range(100000)))
    """),
    ("big_range", ENDED, "list(range(1 << 50))"),
    ("shift", ENDED, """
        x = 1
        for i in range(1 << 20): x = x << 500
    """),
    ("power", SPENT, """
        x = 3
        for i in range(100): x = x * x
    """),
    ("join", SPENT, """
        x = "a" * 100000
        ",".join([x] * 100000)
    """),
    ("replace_grows", SPENT, """
        x = "a" * 100000
        x.replace("a", x)
    """),
    ("format_grows", SPENT, """
        x = "a" * 100000
        ("{0}" * 10000).format(x)
    """),
    ("percent_grows", SPENT, """
        x = "a" * 100000
        ("%(a)s" * 10000) % {"a": x}
    """),
    ("format_width", ENDED, 'x = "%999999999d" % 1'),
    ("repr_grows", SPENT, """
        x = ["\\x01" * 100000]
        for i in range(1 << 20): repr(x * 100)
    """),
    ("json_indent", ENDED, """
        x = []
        for i in range(90): x = [x]
        for i in range(1 << 20): json.indent(json.encode(x), indent=" " * 100000)
    """),
    ("json_depth", ENDED, 'json.decode("[" * 400000)'),
    ("dict_copy", SPENT, """
        d = {i: i for i in range(50000)}
        x = []
        for i in range(1 << 20): x.append(dict(d))
    """),
    ("keyword_copies", SPENT, """
        d = {"k" + str(i): i for i in range(5000)}
        x = []
        def f(**kwargs): x.append(kwargs)
        for i in range(1 << 20): f(**d)
    """),
    ("argument_copies", SPENT, """
        a = list(range(5000))
        x = []
        def f(*args): x.append(args)
        for i in range(1 << 20): f(*a)
    """),
    ("slices", SPENT, """
        a = list(range(50000))
        x = []
        for i in range(1 << 20): x.append(a[1:])
    """),
    ("print", SPENT, 'for i in range(1 << 20): print("a" * 1000)'),
    ("fail_long", FAILED, 'fail("a" * 1000000)'),
    ("key_long", FAILED, '{}["a" * 60000]'),
    ("comprehension_grows", SPENT,
     "x = [[0, 1, 2] for a in range(1000) for b in range(1000)]"),
    ("dict_comprehension", SPENT, "{a: {a: a} for a in range(1 << 30)}"),
    ("closures_in_loop", SPENT, """
        fs = []
        for i in range(90000):
            fs.append([lambda: i, lambda: fs, lambda: i])
        for i in range(1 << 30):
            fs = [lambda: fs]
    """),
    # Depth
    ("recursion", FAILED, """
        def f(x): return f(x)
        f(1)
    """),
    ("self_application", FAILED, "(lambda x: x(x))(lambda x: x(x))"),
    ("key_recursion", FAILED, """
        def f(x): return sorted([1, 2], key=f)
        f(1)
    """),
    ("parentheses", REFUSED, "x = " + "(" * 100000 + ")" * 100000),
    ("brackets", REFUSED, "x = " + "[" * 5000 + "]" * 5000),
    ("long_sum", REFUSED, "x = 1" + " + 1" * 20000),
    ("long_dots", REFUSED, "x = input" + ".a" * 20000),
    ("long_calls", REFUSED, "x = input" + "()" * 20000),
    ("unary", REFUSED, "x = " + "-" * 50000 + "1"),
    ("nots", REFUSED, "x = " + "not " * 20000 + "1"),
    ("conditionals", REFUSED, "x = " + "1 if 1 else " * 20000 + "1"),
    ("lambdas", REFUSED, "x = " + "lambda: " * 20000 + "1"),
    ("deep_ifs", REFUSED, "\n".join(" " * d + "if 1:" for d in range(5000))),
    ("deep_loops", REFUSED | {"returned"}, "\n".join(
        " " * d + f"for x{d} in []:" for d in range(60)) + "\n" + " " * 60 + "pass"),
    ("deep_comprehension", REFUSED | {"returned"},
     "x = [0 " + " ".join(f"for x{d} in []" for d in range(90)) + "]"),
    ("elifs", REFUSED | {"returned"},
     "if input: pass\n" + "elif input: pass\n" * 5000),
    ("long_literal", REFUSED | FAILED | SPENT | {"returned"},
     "x = 1" + "0" * 100000),
    ("many_statements", REFUSED, "x = 1\n" * 60000),
    # The language's own limits
    ("nul", REFUSED, 'x = "\0"'),
    ("dunder", REFUSED | FAILED, "().__class__"),
    ("dunder_format", FAILED, '"{0.__class__}".format(1)'),
    ("dunder_getattr", FAILED, 'getattr("", "__class__")'),
    ("debug_name", REFUSED, "__debug__ = 1"),
    ("none_name", REFUSED, "None = 1"),
    ("none_loop", REFUSED, "for None in [1]: pass"),
]  # fmt: skip


def wrapped(body: str) -> str:
    text = textwrap.indent(textwrap.dedent(body).strip("\n"), "    ")
    return f'load("json", "json")\ndef main(ctx, input):\n{text}\n    return None\n'


def end_of(source: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.starlark.hostile_child"],
        input=source.encode(),
        capture_output=True,
        cwd=ROOT,
        timeout=PATIENCE_SECONDS,
        env={"PYTHONPATH": f"{ROOT / 'service'}:{ROOT}", "PATH": ""},
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@pytest.mark.parametrize(
    ("ends", "body"),
    [pytest.param(ends, body, id=name) for name, ends, body in SCRIPTS],
)
def test_a_hostile_script_ends_by_a_typed_error(ends: set[str], body: str) -> None:
    result = end_of(wrapped(body))
    assert result["end"] in ends, result
    assert result.get("limit") != "memory", "a charge is missing"
    assert result["peak_mib"] < PEAK_MIB_MAX, result
    text = result["message"] + result.get("trace", "")
    assert len(text.encode()) <= 8192
    assert PYTHON.search(text) is None, text
