"""Objects made and dropped without end: closures, cycles, and what collects them."""

from tests.hostile.program import MANY_STEPS, Kind

churn = Kind("churn", max_steps=MANY_STEPS)

for name, body in {
    "lists": "x = [[], [], []]",
    "dicts": "x = {0: {}, 1: {}}",
    "tuples": "x = ((i,), (i,))",
    "lambdas": "x = [lambda: i, lambda: x]",
    "closures": "x = (lambda y: lambda: (y, lambda: y))(i)",
    "cycles": "x = [i]\n    x.append(x)",
    "dict_cycles": "x = {}\n    x[0] = x",
    "pairs": "x, y = [], []\n    x.append(y)\n    y.append(x)",
    "cycles_through_methods": "x = []\n    x.append(x.append)",
    "cycles_through_lambdas": "x = []\n    x.append(lambda: x)",
    "cycles_through_defaults": "x = []\n    x.append(lambda y=x: y)",
    "large_cycles": "x = [0] * 1000\n    x[0] = x",
    "long_cycles": "x = []\n    for j in range(100): x = [x]",
    "strings": 'x = "a" * 1000 + str(i)',
    "wide_strings": 'x = "\\U0001f600" * 1000',
    "comprehensions": "x = [[j] for j in range(50)]",
    "dict_comprehensions": "x = {j: [j] for j in range(50)}",
    "sorted": "x = sorted(range(50), key=lambda v: [v])",
    "copies": "x = dict([(j, j) for j in range(50)])",
    "arguments": "x = (lambda *a, **k: (a, k))(i, i, b=i)",
    "methods": 'x = ["a".upper, [].append, {}.get]',
    "json": 'x = json.decode("[[[[]]], {}]")',
    "durations": "x = time.second * 2 + time.hour",
    "floats": "x = i * 1.5 + 2.5",
    "longs": "x = (1 << 500) + i",
    "many_then_none": "x = [[] for j in range(10000)]\n    x = None",
    "window": "x = w.pop(0)\n    w.append([i])",
}.items():
    churn.body(
        name,
        "spent",
        f"w = [[] for i in range(10000)]\nfor i in range(1 << 40):\n    {body}",
    )

churn.body(
    "tree",
    "spent|failed",
    """
    def grow(d):
        return d and [d, d]
    x = [0]
    for i in range(1 << 40):
        x = [[x], [x]]
        if i % 1000 == 0: x = [0]
""",
)
churn.body(
    "globals_of_main",
    "spent|failed",
    """
    def make(n): return [make_one(n) for i in range(10)]
    def make_one(n): return lambda: make
    for i in range(1 << 40): make(i)
""",
)
