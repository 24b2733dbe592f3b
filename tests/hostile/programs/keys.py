"""Keys that collide, are large, are deep, or are gone but still in the way."""

from tests.hostile.program import Kind

keys = Kind("keys")

for name, key in {
    "multiples": "i * ((1 << 61) - 1)",
    "negative_multiples": "-i * ((1 << 61) - 1)",
    "multiples_of_two": "i << 61",
    "floats": "float(i * ((1 << 61) - 1))",
    "tuples": "(i * ((1 << 61) - 1), 0)",
    "nested_tuples": "((i * ((1 << 61) - 1),),)",
    "strings": "str(i) * 100",
    "booleans": "(i % 2 == 0, i)",
    "small": "i - 2",
}.items():
    keys.body(
        f"colliding_{name}",
        "spent|max_elements|failed",
        f"""
        d = {{}}
        for i in range(100000): d[{key}] = i
        for i in range(1 << 30): d[{key}] = i
    """,
    )

for name, ends, body in [
    (
        "equal_long_strings",
        "spent|failed|max_string",
        """
        x, y = "a" * 900000, "a" * 899999
        d = {x: 1}
        y = y + "a"
        for i in range(1 << 30): d[y], d.get(y), y in d
    """,
    ),
    (
        "long_strings",
        "spent|failed|max_elements",
        """
        d = {}
        for i in range(1 << 30): d["a" * 60000 + str(i)] = 1
    """,
    ),
    (
        "shared_tuples",
        "spent|failed|max_nesting|max_elements",
        """
        x = ()
        for i in range(64): x = (x, x)
        d = {x: 1}
    """,
    ),
    (
        "shared_tuples_again",
        "spent|failed|max_nesting|max_elements",
        """
        x = ()
        for i in range(15): x = (x, x)
        for i in range(1 << 30): d = {x: 1}
    """,
    ),
    (
        "deep_tuple",
        "failed|max_nesting",
        """
        x = ()
        for i in range(100000): x = (x,)
        return {x: 1}
    """,
    ),
    (
        "wide_tuple",
        "spent|failed|max_elements",
        """
        x = tuple(range(100000))
        d = {x: 1}
        for i in range(1 << 30): x in d
    """,
    ),
    ("list_as_key", "failed", "return {[]: 1}"),
    ("list_in_tuple", "failed", "return {(1, [2]): 1}"),
    ("dict_as_key", "failed", "return {{}: 1}"),
    (
        "lambda_as_key",
        "spent|max_elements|failed",
        "d = {}\nfor i in range(1 << 30): d[lambda: 1] = 1",
    ),
    (
        "nan_as_key",
        "spent|failed|max_elements|returned",
        'd = {}\nfor i in range(1 << 20): d[float("nan")] = 1\nreturn len(d)',
    ),
    (
        "infinity_as_key",
        "returned|failed",
        'return len({float("inf"): 1, 1 << 500: 2})',
    ),
    ("frozen_values", "failed|returned", "d = {(1, (2, 3)): 1}\nreturn d[1, (2, 3)]"),
    (
        "deleted_in_front",
        "spent|failed",
        """
        d = {i: i for i in range(100000)}
        for i in range(99999): d.popitem()
        for i in range(1 << 30):
            for k in d: break
    """,
    ),
    (
        "deleted_again_and_again",
        "spent|failed",
        """
        for i in range(1 << 30):
            d = {j: j for j in range(1000)}
            for j in range(1000): d.popitem()
    """,
    ),
    (
        "queue",
        "spent|failed",
        """
        d = {i: i for i in range(50000)}
        for i in range(50000, 1 << 30):
            d[i] = i
            d.popitem()
    """,
    ),
    (
        "grows_while_read",
        "failed",
        """
        d = {1: 1}
        for k in d: d[k + 1] = 1
    """,
    ),
    (
        "shrinks_while_read",
        "failed",
        """
        d = {1: 1, 2: 2}
        for k in d: d.clear()
    """,
    ),
    (
        "grows_in_comprehension",
        "failed",
        """
        d = {1: 1}
        return [d.update({k + 1: 1}) for k in d]
    """,
    ),
    (
        "grows_in_key",
        "failed",
        """
        x = [3, 2, 1]
        return sorted(x, key=lambda v: x.append(v))
    """,
    ),
    (
        "update_by_itself",
        "returned",
        """
        d = {i: i for i in range(1000)}
        d.update(d)
        return len(d | d)
    """,
    ),
    (
        "extend_by_itself",
        "max_elements|failed",
        """
        x = [1]
        for i in range(100): x.extend(x)
    """,
    ),
    (
        "equal_shared",
        "spent|max_nesting",
        """
        x, y = [], []
        for i in range(64): x, y = [x, x], [y, y]
        x == y
    """,
    ),
    (
        "equal_shared_dicts",
        "spent|max_nesting",
        """
        x, y = {}, {}
        for i in range(64): x, y = {0: x, 1: x}, {0: y, 1: y}
        x == y
    """,
    ),
    (
        "less_shared",
        "spent|max_nesting|failed",
        """
        x, y = (), ()
        for i in range(64): x, y = (x, x), (y, y)
        x < y
    """,
    ),
    (
        "in_shared",
        "spent|max_nesting",
        """
        x, y = [], []
        for i in range(64): x, y = [x, x], [y, y]
        x in [y]
    """,
    ),
]:
    keys.body(name, ends, body)
