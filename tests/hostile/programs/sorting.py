"""Sorting and choosing with keys that mean harm."""

from tests.hostile.program import Kind

sorting = Kind("sorting")

for name, ends, body in [
    ("mixed_types", "failed", 'return sorted([1, "a"])'),
    ("mixed_deep", "failed", 'return sorted([[1], ["a"]])'),
    ("none", "failed", "return sorted([None, None])"),
    ("dicts", "failed", "return sorted([{}, {}])"),
    ("functions", "failed", "return sorted([lambda: 1, lambda: 2])"),
    ("nan", "returned|failed", 'return len(sorted([float("nan"), 1.0, 0.5] * 1000))'),
    (
        "key_fails",
        "failed",
        "return sorted(range(10000), key=lambda v: 1 // (v - 9999))",
    ),
    ("key_is_no_function", "failed", "return sorted([1], key=1)"),
    ("key_wants_two", "failed", "return sorted([1], key=lambda a, b: a)"),
    (
        "key_appends",
        "failed",
        """
        x = list(range(1000))
        return sorted(x, key=lambda v: x.append(v))
    """,
    ),
    (
        "key_clears",
        "failed",
        """
        x = list(range(1000))
        return sorted(x, key=lambda v: x.clear())
    """,
    ),
    (
        "key_returns_list",
        "spent|failed",
        """
        for i in range(1 << 40): sorted(range(1000), key=lambda v: [0] * 1000 + [v])
    """,
    ),
    (
        "key_returns_text",
        "spent|failed",
        """
        for i in range(1 << 40): sorted(range(1000), key=lambda v: "a" * 1000 + str(v))
    """,
    ),
    (
        "key_returns_long",
        "spent|failed",
        """
        b = (1 << 500) * (1 << 500) * (1 << 500)
        for i in range(1 << 40): sorted(range(1000), key=lambda v: b + v)
    """,
    ),
    (
        "key_returns_deep",
        "failed|max_nesting",
        """
        def deep(v):
            x = [v]
            for i in range(1000): x = [x]
            return x
        return sorted(range(10), key=deep)
    """,
    ),
    (
        "key_returns_shared",
        "spent|failed|max_nesting",
        """
        def shared(v):
            x = ()
            for i in range(40): x = (x, x)
            return x
        return sorted(range(4), key=shared)
    """,
    ),
    (
        "key_returns_function",
        "failed",
        "return sorted([1, 2], key=lambda v: lambda: v)",
    ),
    (
        "key_sorts",
        "spent|failed",
        """
        def f(v): return sorted(range(100000, 0, -1))
        sorted(range(100000), key=f)
    """,
    ),
    (
        "key_recurses",
        "failed",
        """
        def f(v): return sorted([1, 2], key=f)
        f(1)
    """,
    ),
    (
        "key_calls_a_worker",
        "spent|failed|max_events|returned",
        """
        return sorted([3, 1, 2], key=lambda v: f.echo(ctx, v))
    """,
    ),
    (
        "key_sleeps",
        "spent|failed|max_events|returned",
        """
        return max([3, 1, 2], key=lambda v: [time.sleep(ctx, time.second), v][1])
    """,
    ),
    (
        "strings",
        "spent",
        """
        x = ["a" * 1000 + str(i) for i in range(5000)]
        for i in range(1 << 20): sorted(x)
    """,
    ),
    (
        "shared_prefix",
        "spent",
        """
        x = ["a" * 9000 + str(10000 + i * 7919 % 10007) for i in range(10000)]
        for i in range(1 << 20): sorted(x)
    """,
    ),
    (
        "tuples_of_strings",
        "spent",
        """
        x = [("a" * 9000, i * 7919 % 1009) for i in range(1000)]
        for i in range(1 << 20): sorted(x)
    """,
    ),
    (
        "long_lists",
        "spent",
        """
        x = [[0] * 1000 + [i * 7919 % 1009] for i in range(1000)]
        for i in range(1 << 20): sorted(x)
    """,
    ),
    (
        "maximum_of_lists",
        "spent",
        """
        x = [[0] * 10000 + [i] for i in range(100)]
        for i in range(1 << 20): max(x)
    """,
    ),
    ("minimum_of_nothing", "failed", "return min([])"),
    (
        "random_order",
        "spent",
        """
        x = [(i * 7919) % 100003 for i in range(100000)]
        for i in range(1 << 20): sorted(x, reverse=True)
    """,
    ),
]:
    sorting.body(name, ends, body)
