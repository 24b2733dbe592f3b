"""Scripts that never end, in every way that the language has to repeat something."""

from tests.hostile.program import Kind

loops = Kind("loops")
_DEEP = "\n".join(f"{' ' * d}for x{d} in range(100000):" for d in range(8))

loops.body("range", "spent", "for i in range(1 << 40): pass")
loops.body("downwards", "spent", "for i in range(1 << 40, 0, -1): pass")
loops.body("nested", "spent", f"{_DEEP}\n        pass")
loops.body(
    "late_break",
    "spent",
    """
    for i in range(1 << 40):
        for j in range(1 << 40):
            if j == 100: break
""",
)
loops.body(
    "continues",
    "spent",
    """
    for i in range(1 << 40):
        if i: continue
""",
)
loops.body(
    "over_a_list",
    "spent",
    """
    x = list(range(1000))
    for i in range(1 << 40):
        for j in x: pass
""",
)
loops.body(
    "over_a_tuple",
    "spent",
    """
    x = tuple(range(1000))
    for i in range(1 << 40):
        for j in x: pass
""",
)
loops.body(
    "over_a_dict",
    "spent",
    """
    x = {i: i for i in range(1000)}
    for i in range(1 << 40):
        for j in x: pass
""",
)
loops.body(
    "first_of_a_dict",
    "spent",
    """
    x = {i: i for i in range(100000)}
    for i in range(1 << 40):
        for j in x: break
""",
)
loops.body(
    "over_characters",
    "spent",
    """
    x = "a" * 10000
    for i in range(1 << 40):
        for j in x.elems(): pass
""",
)
loops.body(
    "over_codepoints",
    "spent",
    """
    x = "a" * 10000
    for i in range(1 << 40):
        for j in x.codepoints(): pass
""",
)
loops.body(
    "comprehension",
    "spent",
    "[0 for a in range(1 << 20) for b in range(1 << 20) if False]",
)
loops.body(
    "dict_comprehension",
    "spent",
    "{0: 0 for a in range(1 << 20) for b in range(1 << 20)}",
)
loops.body(
    "comprehension_in_condition",
    "spent",
    "[0 for a in range(1 << 20) if [0 for b in range(1 << 20) if False]]",
)
loops.body(
    "comprehension_of_calls",
    "spent",
    """
    def f(x): return x
    [f(a) for a in range(1 << 40) if f(a) < 0]
""",
)
loops.body(
    "call",
    "spent",
    """
    def f(): return None
    for i in range(1 << 40): f()
""",
)
loops.body(
    "lambda",
    "spent",
    """
    f = lambda: None
    for i in range(1 << 40): f()
""",
)
loops.body(
    "many_arguments",
    "spent",
    """
    def f(a, b, c, d, e=5, *args, **kwargs): return None
    for i in range(1 << 40): f(1, 2, 3, 4, 5, 6, 7, g=8, h=9)
""",
)
loops.body(
    "spread_arguments",
    "spent",
    """
    def f(*args): return None
    x = list(range(1000))
    for i in range(1 << 40): f(*x)
""",
)
loops.body(
    "spread_keywords",
    "spent",
    """
    def f(**kwargs): return None
    x = {"k%d" % i: i for i in range(1000)}
    for i in range(1 << 40): f(**x)
""",
)
loops.top(
    "tree_of_calls",
    "spent",
    "def f0(): pass\n"
    + "".join(f"def f{i}():\n" + f"    f{i - 1}()\n" * 8 for i in range(1, 12))
    + "def main(ctx, input): f11()",
)
loops.body(
    "tree_of_lambdas",
    "failed",
    """
    f = lambda: None
    for i in range(30):
        f = (lambda g: lambda: (g(), g()))(f)
    f()
""",
)
loops.body(
    "tree_of_partials",
    "failed|spent",
    """
    def twice(f): return lambda x: f(f(x))
    g = twice(twice)
    g(twice)(twice)(lambda x: x)(1)
""",
)
loops.body(
    "key_of_sorted",
    "spent",
    """
    x = list(range(50000))
    for i in range(1 << 20): sorted(x, key=lambda v: -v)
""",
)
loops.body(
    "key_of_max",
    "spent",
    """
    x = list(range(50000))
    for i in range(1 << 20): max(x, key=lambda v: -v)
""",
)
loops.body(
    "key_that_loops",
    "spent",
    """
    def slow(v):
        for i in range(1 << 40): pass
    sorted([1, 2, 3], key=slow)
""",
)
loops.body("all_of_range", "spent", "for i in range(1 << 40): all(range(1, 100000))")
loops.body(
    "any_of_zeros",
    "spent",
    """
    x = [0] * 100000
    for i in range(1 << 40): any(x)
""",
)
loops.body(
    "sum_of_steps",
    "spent",
    """
    n = 0
    for i in range(1 << 40): n += i
""",
)
loops.body(
    "floats",
    "spent",
    """
    n = 0.5
    for i in range(1 << 40): n = n * 1.0000001 + 0.1
""",
)
loops.body(
    "booleans",
    "spent",
    """
    n = True
    for i in range(1 << 40): n = not n or n and i or n
""",
)
loops.body(
    "comparisons",
    "spent",
    "for i in range(1 << 40): i < 3 and i > 4 or i == 5 or i != 6 or i >= 7",
)
loops.body(
    "unpacking",
    "spent",
    """
    for i in range(1 << 40):
        (a, (b, [c, d])) = (i, (i, [i, i]))
""",
)
loops.body(
    "swaps",
    "spent",
    """
    x = [1, 2]
    for i in range(1 << 40): x[0], x[1] = x[1], x[0]
""",
)
loops.body("has_attribute", "spent", 'for i in range(1 << 30): hasattr("", "x")')
loops.body(
    "missing_attribute", "spent", 'for i in range(1 << 30): getattr("", "x", None)'
)
loops.body(
    "missing_key",
    "spent",
    """
    d = {}
    for i in range(1 << 30): d.get("x" * 100, None)
""",
)
loops.body("dir", "spent", "for i in range(1 << 30): dir([])")
loops.body("type", "spent", "for i in range(1 << 30): type(i) == type(input)")
loops.body("conditional", "spent", "for i in range(1 << 40): 1 if i else 2")
loops.body(
    "wide_body",
    "spent",
    "for i in range(1 << 40):\n" + "    i = i + 1 - 1\n" * 2_000,
)
loops.body(
    "wide_expression",
    "spent",
    "for i in range(1 << 40):\n    x = [" + "i," * 5_000 + "]",
)
loops.body(
    "pops_and_appends",
    "max_steps|max_allocated_bytes",
    """
    x = [1]
    for i in range(1 << 40): x.append(x.pop())
""",
)
loops.body(
    "inserts_in_front",
    "spent|max_elements",
    """
    x = []
    for i in range(1 << 40): x.insert(0, i)
""",
)
loops.body(
    "pops_in_front",
    "spent",
    """
    for i in range(1 << 40):
        x = list(range(50000))
        for j in range(50000): x.pop(0)
""",
)
loops.body(
    "dict_grows_and_shrinks",
    "spent",
    """
    d = {}
    for i in range(1 << 40):
        d[i] = i
        d.pop(i)
""",
)
