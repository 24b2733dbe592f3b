"""JSON, and what leaves a run or enters it."""

from tests.hostile.program import MANY_STEPS, Kind

json = Kind("json", max_steps=MANY_STEPS)
payloads = Kind("payloads", max_steps=MANY_STEPS)

for name, ends, body in [
    ("deep_lists", "spent|failed|max_nesting", 'json.decode("[" * 400000)'),
    (
        "deep_closed",
        "spent|failed|max_nesting",
        'json.decode("[" * 100000 + "]" * 100000)',
    ),
    ("deep_objects", "spent|failed|max_nesting", "json.decode('{\"a\":' * 50000)"),
    ("wide", "spent|failed|max_elements", 'json.decode("[" + "1," * 400000 + "1]")'),
    (
        "many_objects",
        "spent",
        """
        x = "[" + "{}," * 50000 + "{}]"
        y = []
        for i in range(1 << 20): y.append(json.decode(x))
    """,
    ),
    (
        "many_lists",
        "spent",
        """
        x = "[" + "[]," * 50000 + "[]]"
        y = []
        for i in range(1 << 20): y.append(json.decode(x))
    """,
    ),
    (
        "repeated_keys",
        "spent|failed",
        """
        x = "{" + '"a": 1,' * 50000 + '"a": 1}'
        for i in range(1 << 20): json.decode(x)
    """,
    ),
    ("long_number", "failed|max_int_bits", 'json.decode("1" * 900000)'),
    ("long_fraction", "failed|returned", 'json.decode("0." + "1" * 900000)'),
    ("long_exponent", "failed", 'json.decode("1e" + "9" * 900000)'),
    ("overflow", "failed", 'json.decode("1e999")'),
    ("negative_zeros", "failed", 'json.decode("-" * 900000)'),
    ("nan", "failed", 'json.decode("NaN")'),
    ("infinity", "failed", 'json.decode("-Infinity")'),
    ("byte_order_mark", "failed", 'json.decode("\\ufeff1")'),
    ("other_digits", "failed", 'json.decode("\\u0663")'),
    ("other_spaces", "failed", 'json.decode("\\u00a01")'),
    ("lone_surrogate", "failed|returned", "json.decode('\"\\\\ud800\"')"),
    (
        "surrogate_pairs",
        "spent|failed",
        """
        x = '"' + "\\\\ud83d\\\\ude00" * 50000 + '"'
        for i in range(1 << 20): json.decode(x)
    """,
    ),
    (
        "escapes",
        "spent|failed",
        """
        x = '"' + "\\\\u0001" * 100000 + '"'
        for i in range(1 << 20): json.decode(x)
    """,
    ),
    ("control_characters", "failed", "json.decode('\"\\x01\"')"),
    ("comments", "failed", 'json.decode("/*" + "a" * 900000 + "*/1")'),
    ("trailing", "failed", 'json.decode("1" + " " * 900000 + "2")'),
    ("python_words", "failed", 'json.decode("True")'),
    ("unclosed", "failed", "json.decode('\"' + 'a' * 900000)"),
    (
        "round_trip",
        "spent",
        """
        x = [[1, 2.5, "a", None]] * 10000
        for i in range(1 << 20): json.decode(json.encode(x))
    """,
    ),
    (
        "encode_in_encode",
        "max_string|failed",
        """
        x = "\\""
        for i in range(100): x = json.encode(x)
    """,
    ),
    (
        "encode_shared",
        "spent|failed|max_string|max_nesting",
        """
        x = []
        for i in range(64): x = [x, x]
        json.encode(x)
    """,
    ),
    ("encode_keys", "failed", "json.encode({1: 2})"),
    ("encode_nan", "failed", 'json.encode(float("nan"))'),
    ("encode_function", "failed", "json.encode(main)"),
    (
        "encode_range",
        "spent|failed|max_string|max_elements",
        "json.encode(range(1 << 40))",
    ),
    (
        "encode_generator",
        "spent|failed|max_string|max_elements",
        'json.encode([("a" * 900000).elems()] * 1000)',
    ),
    (
        "indent_deep",
        "spent|failed|max_string",
        """
        x = "[" * 90 + "]" * 90
        for i in range(1 << 20): json.indent(x, prefix=" " * 60, indent=" " * 60)
    """,
    ),
    ("indent_not_json", "spent|failed", 'json.indent("[" * 400000)'),
]:
    json.body(name, ends, body)

for name, ends, expression in [
    ("long_text", "returned", '"a" * 1000000'),
    ("too_long_text", "failed|max_payload_bytes", '["a" * 600000, "b" * 600000]'),
    ("escaped_text", "failed|max_payload_bytes", '"\\x01" * 300000'),
    ("wide_text", "failed|max_payload_bytes", '"\\U0001f600" * 400000'),
    ("many_numbers", "failed|returned|max_payload_bytes", "list(range(100000))"),
    ("many_long_numbers", "failed|max_payload_bytes", "[1 << 500] * 50000"),
    ("many_lists", "failed|returned|max_payload_bytes", "[[]] * 100000"),
    ("shared", "failed|spent", "shared"),
    ("too_deep", "failed|max_nesting", "nested"),
    ("long_number", "failed|max_int_bits", "long * long * long * long"),
    ("function", "failed", "main"),
    ("lambda", "failed", '{"a": [1, lambda: 1]}'),
    ("method", "failed", "[].append"),
    ("builtin", "failed", "len"),
    ("module", "failed|refused", "json"),
    ("range", "failed|returned|max_payload_bytes", "range(1 << 40)"),
    ("characters", "failed|returned|max_payload_bytes", '("a" * 900000).elems()'),
    ("bytes", "failed|returned", 'bytes("abc")'),
    ("duration", "failed|returned", "time.second"),
    ("context", "failed", "ctx"),
    ("future", "failed", "flow.start(ctx, f.echo, 1)"),
    ("nan", "failed", 'float("nan")'),
    ("infinity", "failed", '{"a": -float("inf")}'),
    ("number_key", "failed", "{1: 2}"),
    ("none_key", "failed", "{None: 2}"),
    ("tuple_key", "failed", "{(1, 2): 2}"),
    ("surrogate", "failed|returned", "chr(0xDFFF)"),
    ("long_key", "failed|returned", '{"k" * 500000: 1}'),
    (
        "many_keys",
        "failed|returned|max_payload_bytes",
        '{"k%d" % i: i for i in range(90000)}',
    ),
    ("negative_zero", "returned", "-0.0"),
    ("small_float", "returned", "5e-324"),
    ("many_floats", "failed|returned|max_payload_bytes", "[5e-324] * 100000"),
]:
    for what in ("result", "request"):
        use = expression if what == "result" else f"f.echo(ctx, {expression}) and 1"
        payloads.body(
            f"{what}_{name}",
            ends,
            f"""
            shared = []
            for i in range(64): shared = [shared, shared]
            nested = []
            for i in range(150): nested = [nested]
            long = (1 << 500) * (1 << 500)
            for i in range(4): long = long * long
            return {use}
        """,
        )

payloads.body(
    "requests_forever",
    "max_events|max_allocated_bytes",
    """
    for i in range(1 << 40): f.echo(ctx, "a" * 100000)
""",
)
payloads.body(
    "answers_pile_up",
    "max_events|max_allocated_bytes",
    """
    x = []
    for i in range(1 << 40): x.append(f.echo(ctx, ["a" * 1000] * 100))
""",
)
payloads.body(
    "input_of_many",
    "spent|failed|returned",
    """
    for i in range(1 << 40): json.encode(input)
""",
    [[i] for i in range(50_000)],
)
payloads.body(
    "failure_of_many",
    "failed",
    """
    return f.fails(ctx, "x" * 100000)
""",
)
payloads.body(
    "failures_in_loop",
    "failed",
    """
    for i in range(1 << 40): f.fails(ctx, i)
""",
)
