"""Integers and floats at the edges of what they can be."""

from tests.hostile.program import Kind

numbers = Kind("numbers")
_BIG = """
x = (1 << 500) - 1
for i in range(6): x = x * x
"""

for name, operation in {
    "multiply": "x * x",
    "square_in_place": "(x * x) * x",
    "divide": "x // 3",
    "divide_by_long": "x // (x - 1)",
    "modulo": "x % 7",
    "modulo_by_long": "x % (x // 3)",
    "add": "x + x",
    "subtract": "x - 1",
    "negate": "-x",
    "invert": "~x",
    "absolute": "abs(-x)",
    "and": "x & (x >> 1)",
    "or": "x | (x >> 1)",
    "xor": "x ^ (x >> 1)",
    "shift_right": "x >> 1",
    "compare": "x < x + 1",
    "equal": "x == x + 0",
    "text": "str(x)",
    "representation": "repr(x)",
    "percent": '"%d" % x',
    "hexadecimal": '"%x" % x',
    "octal": '"%o" % x',
    "braces": '"{}".format(x)',
    "hash_key": "{x: 1}",
    "key_lookup": "x in {1: 1}",
    "parse": 'int("1" + "0" * 15000)',
    "parse_hexadecimal": 'int("f" * 15000, 16)',
    "parse_base_36": 'int("z" * 10000, 36)',
    "encode": "json.encode(x)",
    "decode": 'json.decode("1" + "0" * 15000)',
    "truth": "not x",
    "maximum": "max(x, x + 1, x + 2)",
    "sort": "sorted([x, x - 1, x - 2])",
    "in_list": "x in [x - 1, x - 2]",
    "pass_on": "(lambda y: y)(x)",
}.items():
    numbers.body(
        f"long_{name}",
        "spent|max_int_bits|failed",
        f"{_BIG}\nfor i in range(1 << 40): y = {operation}",
    )

for name, ends, body in [
    ("power", "max_int_bits", "x = 3\nfor i in range(100): x = x * x"),
    ("factorial", "max_int_bits", "x = 1\nfor i in range(1, 1 << 40): x = x * i"),
    (
        "fibonacci",
        "max_int_bits|spent",
        "a, b = 1, 1\nfor i in range(1 << 40): a, b = b, a + b",
    ),
    ("shift_left", "max_int_bits", "x = 1\nfor i in range(1 << 20): x = x << 500"),
    ("shift_by_long", "failed|max_int_bits", "return 1 << (1 << 100)"),
    ("shift_by_negative", "failed", "return 1 << -1"),
    ("shift_right_by_long", "failed|returned", "return 1 >> (1 << 100)"),
    ("divide_by_zero", "failed", "return 1 // 0"),
    ("modulo_zero", "failed", "return (1 << 500) % 0"),
    ("float_divide_by_zero", "failed", "return 1.0 / 0.0"),
    ("float_overflow", "failed", "return json.encode(1e300 * 1e300)"),
    ("float_of_long", "failed|returned", "return float(1 << 2000)"),
    (
        "float_of_longer",
        "failed|max_int_bits",
        "x = (1 << 500) * (1 << 500) * (1 << 500)\nreturn float(x)",
    ),
    (
        "float_times_long",
        "failed",
        "x = (1 << 500) * (1 << 500) * (1 << 500)\nreturn 1.5 * x",
    ),
    ("int_of_infinity", "failed", 'return int(float("inf"))'),
    ("int_of_nan", "failed", 'return int(float("nan"))'),
    ("index_by_long", "failed", "return [1][1 << 200]"),
    ("slice_by_long", "returned|failed", "return [1, 2, 3][-(1 << 200):1 << 200]"),
    ("step_by_long", "returned|failed", "return [1, 2, 3][::1 << 200]"),
    ("step_zero", "failed", "return [1][::0]"),
    ("range_of_long", "returned|failed", "return len(range(1 << 200))"),
    ("range_step_zero", "failed", "return range(1, 10, 0)"),
    ("range_index", "returned|failed", "return range(0, 1 << 62, 7)[-1]"),
    ("range_contains", "returned|failed", "return (1 << 200) in range(1 << 62)"),
    ("repeat_by_long", "failed|max_string", 'return "a" * (1 << 200)'),
    ("repeat_by_negative", "returned", 'return "a" * -(1 << 200)'),
    ("character_of_long", "failed", "return chr(1 << 200)"),
    ("character_of_surrogate", "failed|returned", "return chr(0xD800)"),
    ("parse_digits_of_others", "failed", 'return int("\u0663")'),
    ("parse_underscores", "failed", 'return int("1_000")'),
    ("parse_base_1000", "failed", 'return int("1", 1000)'),
    ("parse_longest", "failed|max_int_bits", 'return int("9" * 1000000)'),
    ("parse_float_longest", "failed|returned", 'return float("9" * 1000000)'),
    ("math_domain", "failed", "return math.sqrt(-1)"),
    ("math_overflow", "failed", "return math.exp(1e10)"),
    ("math_of_long", "failed", "return math.floor(math.pow(10.0, 400))"),
    ("math_floor_of_infinity", "failed", 'return math.floor(float("inf"))'),
    ("math_factor", "failed|returned", "return math.gamma(1e10)"),
    ("random_of_long", "failed|returned", "return rand.int(ctx, 1 << 200)"),
    ("random_of_zero", "failed", "return rand.int(ctx, 0)"),
]:
    numbers.body(name, ends, body)
