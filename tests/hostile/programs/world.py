"""Floods of what is recorded, times that cannot be, output without end."""

from tests.hostile.program import Kind

events = Kind("events")
times = Kind("time")
output = Kind("output")

for name, ends, body in [
    ("calls", "max_events", "for i in range(1 << 40): f.echo(ctx, i)"),
    ("calls_without_argument", "max_events", "for i in range(1 << 40): f.echo(ctx)"),
    ("starts", "max_open_calls", "for i in range(1 << 40): flow.start(ctx, f.echo, i)"),
    (
        "starts_at_once",
        "max_open_calls",
        "flow.wait(ctx, [flow.start(ctx, f.echo, i) for i in range(100000)])",
    ),
    (
        "starts_and_waits",
        "max_events|max_allocated_bytes",
        """
        for i in range(1 << 40):
            flow.wait(ctx, [flow.start(ctx, f.echo, j) for j in range(100)])
    """,
    ),
    (
        "waits_of_the_same",
        "spent|max_events|failed",
        """
        x = flow.start(ctx, f.echo, "a" * 100000)
        for i in range(1 << 40): flow.wait(ctx, x)
    """,
    ),
    (
        "waits_of_many_of_the_same",
        "spent|max_events|failed",
        """
        x = [flow.start(ctx, f.echo, "a" * 100000)] * 100000
        for i in range(1 << 40): flow.wait(ctx, x)
    """,
    ),
    ("times", "max_events", "for i in range(1 << 40): time.now(ctx)"),
    ("numbers", "max_events", "for i in range(1 << 40): rand.int(ctx, 10)"),
    (
        "sleeps",
        "max_events",
        "for i in range(1 << 40): time.sleep(ctx, time.second * 0)",
    ),
    (
        "long_sleeps",
        "max_events",
        "for i in range(1 << 40): time.sleep(ctx, time.hour * 8000)",
    ),
    (
        "mixed",
        "max_events",
        """
        for i in range(1 << 40):
            time.now(ctx)
            rand.int(ctx, 5)
            f.echo(ctx, i)
            time.sleep(ctx, time.second)
    """,
    ),
    (
        "computes_between",
        "max_events|spent",
        """
        for i in range(1 << 40):
            for j in range(10000): pass
            time.now(ctx)
    """,
    ),
    ("call_of_nothing", "failed|refused", "return f(ctx)"),
    ("call_with_three", "failed|refused", "return f.echo(ctx, 1, 2)"),
    ("call_without_context", "failed|refused", "return f.echo(1)"),
    ("context_of_another", "failed|refused", "return f.echo(None, 1)"),
    ("function_as_value", "failed|returned|refused", "x = f.echo\nreturn str(x)"),
    (
        "function_in_list",
        "failed|returned|refused",
        "x = [f.echo]\nreturn x[0](ctx, 1)",
    ),
    ("function_as_key", "failed|returned|refused", "return len({f.echo: 1})"),
    ("function_by_getattr", "failed|refused", 'return getattr(f, "echo")(ctx, 1)'),
    ("future_attributes", "failed", "return flow.start(ctx, f.echo, 1).call_version"),
    (
        "future_compared",
        "failed|returned",
        "x = flow.start(ctx, f.echo, 1)\nreturn [x == x, x < x]",
    ),
    ("wait_for_a_number", "failed", "return flow.wait(ctx, 1)"),
    ("wait_for_a_list_of_lists", "failed|returned", "return flow.wait(ctx, [[[]]])"),
    ("wait_for_itself", "failed", "x = []\nx.append(x)\nreturn flow.wait(ctx, x)"),
    ("start_of_a_number", "failed", "return flow.start(ctx, 1, 1)"),
    ("start_of_a_builtin", "failed", "return flow.start(ctx, len, [1])"),
    ("start_of_a_lambda", "failed", "return flow.start(ctx, lambda: 1, 1)"),
    ("start_of_itself", "failed", "return flow.start(ctx, main, 1)"),
]:
    events.body(name, ends, body)

for name, ends, body in [
    ("product", "failed", "time.hour * (1 << 200)"),
    ("product_at_the_edge", "failed", "time.hour * ((1 << 63) // 3600000000000 + 1)"),
    ("negative_product", "failed", "time.hour * -(1 << 200)"),
    (
        "sum",
        "failed",
        """
        x = time.hour
        for i in range(1 << 20): x = x + x
    """,
    ),
    (
        "difference",
        "failed",
        """
        x = time.hour * -1
        for i in range(1 << 20): x = x + x
    """,
    ),
    ("by_zero", "failed", "time.hour / 0"),
    ("floor_by_zero", "failed", "time.hour // (time.hour - time.hour)"),
    ("by_small", "failed", "time.hour / 1e-300"),
    ("times_float", "failed|returned", "time.hour * 1e300"),
    ("times_nan", "failed", 'time.hour * float("nan")'),
    (
        "sleep_for_ever",
        "failed|max_sleep|max_sleep_ns",
        "time.sleep(ctx, time.hour * 100000)",
    ),
    ("sleep_back", "returned", "time.sleep(ctx, time.hour * -1)"),
    ("sleep_of_a_number", "failed", "time.sleep(ctx, 1 << 62)"),
    ("sleep_of_nan", "failed", 'time.sleep(ctx, float("nan"))'),
    ("sleep_of_text", "failed|returned", 'time.sleep(ctx, "1h")'),
    ("parse_long_duration", "failed", 'time.parse_duration("9" * 900000 + "h")'),
    ("parse_many_units", "returned", 'time.parse_duration("1h" * 4000)'),
    (
        "parse_fraction",
        "failed|returned",
        'time.parse_duration("0." + "1" * 900000 + "s")',
    ),
    ("parse_other_digits", "failed", 'time.parse_duration("\\u0663s")'),
    ("parse_time_long", "failed", 'time.parse_time("2" * 900000)'),
    (
        "parse_layout_long",
        "returned|failed",
        'time.parse_time("x" * 400000, format="x" * 400000)',
    ),
    (
        "parse_zone",
        "failed",
        'time.parse_time("2006-01-02T15:04:05Z", location="../../etc/passwd")',
    ),
    ("zone_of_a_path", "failed|returned", 'time.is_valid_timezone("/etc/passwd")'),
    ("zone_of_nul", "failed|returned", 'time.is_valid_timezone("UTC\\x00")'),
    ("zone_long", "failed|returned", 'time.is_valid_timezone("A/" * 400000)'),
    ("year_ten_thousand", "failed|returned", "str(time.from_timestamp(1 << 40))"),
    ("year_minus_one", "failed|returned", "str(time.from_timestamp(-(1 << 40)))"),
    ("timestamp_long", "failed", "time.from_timestamp(1 << 200)"),
    (
        "timestamp_edge",
        "failed|returned",
        "time.from_timestamp((1 << 63) - 1, 999999999)",
    ),
    ("date_long", "failed|returned", "time.time(year=1 << 100)"),
    ("date_month", "failed|returned", "str(time.time(year=2000, month=1 << 40))"),
    ("date_zone", "failed", 'time.time(year=2000, location="\\n")'),
]:
    is_one = "for " not in body
    times.body(name, ends, f"return [{body}, 1][1]" if is_one else body)

for name, ends, body in [
    ("print_flood", "max_print_bytes", 'for i in range(1 << 20): print("a" * 1000)'),
    ("print_nothing", "max_print_bytes|spent", "for i in range(1 << 30): print()"),
    (
        "print_newlines",
        "max_print_bytes",
        'for i in range(1 << 20): print("\\n" * 1000)',
    ),
    ("print_once", "max_print_bytes", 'print("a" * 1000000)'),
    ("print_wide", "max_print_bytes", 'print("\\U0001f600" * 200000)'),
    ("print_many", "max_print_bytes", "print(*range(100000))"),
    ("print_list", "max_print_bytes", "print(list(range(100000)))"),
    (
        "print_separator",
        "max_print_bytes|max_string|failed",
        'print(*range(90000), sep="a" * 100000)',
    ),
    (
        "print_controls",
        "max_print_bytes",
        """
        for i in range(1 << 20): print("\\x1b[2J\\x07\\r" * 100)
    """,
    ),
    (
        "print_shared",
        "max_print_bytes|max_string|max_nesting|spent|failed",
        """
        x = []
        for i in range(64): x = [x, x]
        print(x)
    """,
    ),
    ("print_surrogate", "failed|returned", "print(chr(0xD800))"),
    ("fail_long", "failed", 'fail("a" * 1000000)'),
    ("fail_wide", "failed", 'fail("\\U0001f600" * 240000)'),
    ("fail_many", "failed|max_string", "fail(*range(100000))"),
    ("fail_list", "failed|max_string", "fail(list(range(100000)))"),
    ("fail_controls", "failed", 'fail("\\x1b[2J\\r\\n" * 1000)'),
    ("fail_python", "failed", 'fail("Traceback", "File", "line 1")'),
    (
        "fail_deep",
        "failed",
        """
        def f(n, g): return g(n)
        x = lambda n: fail("a" * 1000)
        for i in range(50): x = (lambda g: lambda n: f(n, g))(x)
        x(1)
    """,
    ),
    ("long_key_in_error", "failed", '{}["a" * 60000]'),
    ("long_list_in_error", "failed", "int(list(range(100000)))"),
    ("long_attribute", "failed", 'getattr("", "a" * 900000)'),
    ("long_number_in_error", "failed", "[][(1 << 500) * (1 << 500)]"),
    (
        "shared_in_error",
        "failed|spent|max_nesting",
        """
        x = []
        for i in range(64): x = [x, x]
        int(x)
    """,
    ),
    ("itself_in_error", "failed", "x = []\nx.append(x)\nint(x)"),
    (
        "keyword_in_error",
        "failed",
        """
        def f(a): return a
        f(**{"a' got multiple values \\"'!": 1})
    """,
    ),
    (
        "python_keyword_in_error",
        "failed",
        """
        def f(a): return a
        f(**{"__class__": 1, "self": 2, "class": 3})
    """,
    ),
    (
        "long_keyword_in_error",
        "failed",
        """
        def f(a): return a
        f(**{"k" * 100000: 1})
    """,
    ),
    (
        "many_keywords_in_error",
        "failed",
        """
        def f(a): return a
        f(**{"k%d" % i: i for i in range(20000)})
    """,
    ),
    (
        "errors_nested",
        "failed",
        """
        def f(n): return {}[n]
        return [[[f(x) for x in [1]] for y in [1]] for z in [1]]
    """,
    ),
    ("error_in_key", "failed", 'sorted([1, 2], key=lambda v: {}["a" * 9999])'),
    ("error_in_default", "failed", "def f(a=1 // 0): pass"),
    ("error_in_unpacking", "failed", "a, (b, c) = 1, [1, 2, 3]"),
    ("unset_variable", "failed", "if not input: x = x_late\nx_late = 1"),
]:
    output.body(name, ends, body)
