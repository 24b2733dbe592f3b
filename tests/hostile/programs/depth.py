"""Recursion by every way there is, values too deep, values that hold themselves."""

from tests.hostile.program import Kind

recursion = Kind("recursion")
itself = Kind("itself")
deep = Kind("deep")

for name, ends, source in [
    ("itself", "failed", "def f(x): return f(x)\ndef main(ctx, input): return f(1)"),
    (
        "each_other",
        "failed",
        "def f(x): return g(x)\ndef g(x): return f(x)\n"
        "def main(ctx, input): return f(1)",
    ),
    ("main", "failed", "def main(ctx, input): return main(ctx, input)"),
    (
        "by_argument",
        "failed",
        "def f(g): return g(g)\ndef main(ctx, input): return f(f)",
    ),
    (
        "by_lambda",
        "failed",
        "def main(ctx, input): return (lambda x: x(x))(lambda x: x(x))",
    ),
    (
        "fixed_point",
        "failed",
        """
def main(ctx, input):
    y = lambda f: (lambda x: f(lambda v: x(x)(v)))(lambda x: f(lambda v: x(x)(v)))
    return y(lambda f: lambda n: 1 if n == 0 else n * f(n - 1))(5)""",
    ),
    (
        "by_list",
        "failed",
        "fs = []\ndef f(): return fs[0]()\nfs.append(f)\n"
        "def main(ctx, input): return f()",
    ),
    (
        "by_dict",
        "failed",
        'd = {}\ndef f(): return d["f"]()\nd["f"] = f\n'
        "def main(ctx, input): return f()",
    ),
    (
        "by_default",
        "failed",
        """
def main(ctx, input):
    def f(g=None): return g(g) if g else f(f)
    return f()""",
    ),
    (
        "by_key",
        "failed",
        "def f(x): return max([1, 2], key=f)\ndef main(ctx, input): return f(1)",
    ),
    (
        "by_comprehension",
        "failed",
        "def f(x): return [f(y) for y in [x]]\ndef main(ctx, input): return f(1)",
    ),
    (
        "by_inner_def",
        "failed",
        """
def main(ctx, input):
    def f():
        def g(): return f()
        return g()
    return f()""",
    ),
    (
        "by_spread",
        "failed",
        "def f(*args): return f(*args)\ndef main(ctx, input): return f(1, 2)",
    ),
    (
        "by_keywords",
        "failed",
        "def f(**kw): return f(**kw)\ndef main(ctx, input): return f(a=1)",
    ),
    (
        "by_start",
        "failed",
        "def f(x): return flow.start(f, f, f)\ndef main(ctx, input): return f(1)",
    ),
    (
        "at_top_level",
        "failed",
        "def f(): return f()\nx = f()\ndef main(ctx, input): return x",
    ),
    (
        "long_chain",
        "failed|max_call_depth|refused|returned",
        "def f0(): return 1\n"
        + "".join(f"def f{i}(): return f{i - 1}()\n" for i in range(1, 1000))
        + "def main(ctx, input): return f999()",
    ),
    (
        "chain_of_closures",
        "failed|max_call_depth",
        """
def main(ctx, input):
    f = lambda: 1
    for i in range(5000): f = (lambda g: lambda: g())(f)
    return f()""",
    ),
    (
        "chain_of_keys",
        "failed|max_call_depth",
        """
def main(ctx, input):
    f = lambda v: v
    for i in range(1000): f = (lambda g: lambda v: max([v, v], key=g))(f)
    return f(1)""",
    ),
    (
        "chain_of_comprehensions",
        "failed|max_call_depth",
        """
def main(ctx, input):
    f = lambda v: v
    for i in range(1000): f = (lambda g: lambda v: [g(x) for x in [v]])(f)
    return f(1)""",
    ),
]:
    recursion.top(name, ends, source)

_SELF = "x = [1]\nx.append(x)\n"
for name, ends, expression in [
    ("text", "failed|max_nesting|returned|max_string", "str(x)"),
    ("representation", "failed|max_nesting|returned|max_string", "repr(x)"),
    ("percent", "failed|max_nesting|returned|max_string", '"%s" % [x]'),
    ("braces", "failed|max_nesting|returned|max_string", '"{}".format(x)'),
    ("print", "failed|max_nesting|returned|max_string", "print(x)"),
    ("fail", "failed|max_nesting|max_string", "fail(x)"),
    ("equal", "failed|max_nesting|spent|returned", "x == [1, x]"),
    ("equal_to_another", "failed|max_nesting|spent", "x == y"),
    ("less", "failed|max_nesting|spent|returned", "x < [1, x]"),
    ("in", "failed|max_nesting|spent|returned", "y in x"),
    ("index", "failed|max_nesting|spent", "x.index(y)"),
    ("remove", "failed|max_nesting|spent", "x.remove(y)"),
    ("maximum", "failed|max_nesting|spent", "max([x, y])"),
    ("sort", "failed|max_nesting|spent", "sorted([x, y])"),
    ("key", "failed", "{(1, x): 1}"),
    ("hash", "failed", "hash(str)"),
    ("encode", "failed|max_nesting", "json.encode(x)"),
    ("encode_dict", "failed|max_nesting", "json.encode(d)"),
    ("result", "failed|max_nesting", "x"),
    ("result_dict", "failed|max_nesting", "d"),
    ("request", "failed|max_nesting", "f.echo(ctx, x)"),
    ("request_dict", "failed|max_nesting", "f.echo(ctx, d)"),
    ("start", "failed|max_nesting", "flow.start(ctx, f.echo, x)"),
    ("wait", "failed|max_nesting", "flow.wait(ctx, x)"),
    ("join", "failed", '",".join(x)'),
    ("spread", "failed|returned|max_nesting", "len(max([x, x], key=len))"),
    ("extend", "failed|returned|max_nesting", "[x.extend(list(x)), 1][1]"),
    ("multiply", "returned|failed|max_nesting", "len(x * 1000)"),
    ("add", "returned|failed|max_nesting", "len(x + x)"),
    ("dict_text", "failed|max_nesting|returned|max_string", "str(d)"),
    ("dict_equal", "failed|max_nesting|spent|returned", 'd == {"d": d}'),
    ("dict_union", "returned|failed|max_nesting", "len(d | d)"),
    ("function_text", "returned|failed", "str(main)"),
    ("two_that_hold_each_other", "failed|max_nesting|spent", "a == b"),
]:
    itself.body(
        name,
        ends,
        f"""{_SELF}
y = [1]
y.append(y)
d = {{}}
d["d"] = d
a, b = [1], [1]
a.append(b)
b.append(a)
return {expression}
""",
    )

for name, make in {
    "list": "x = [x]",
    "tuple": "x = (x,)",
    "dict": "x = {0: x}",
    "object": 'x = {"a": x}',
    "list_of_dicts": 'x = [{"a": x}]',
}.items():
    for what, ends, use in [
        ("text", "failed|max_nesting|max_string", "str(x)"),
        ("equal", "failed|max_nesting|returned", "x == y"),
        ("less", "failed|max_nesting", "[x] < [y]"),
        ("encode", "failed|max_nesting", "json.encode(x)"),
        ("result", "failed|max_nesting", "x"),
        ("request", "failed|max_nesting", "f.echo(ctx, x)"),
        ("dropped", "returned", "1"),
    ]:
        deep.body(
            f"{name}_{what}",
            ends,
            f"""
            x = None
            for i in range(20000): {make}
            y, x = x, None
            for i in range(20000): {make}
            return {use}
        """,
        )

deep.body("frozen_global", "failed|returned|max_nesting", "return 1")
deep.top(
    "global",
    "failed|returned|max_nesting",
    """
def make():
    x = []
    for i in range(100000): x = [x]
    return x
deep = make()
def main(ctx, input): return 1
""",
)
