"""Attempts to hold a limit, and floods of branches, maps, signals and restarts."""

from tests.hostile.program import MANY_STEPS, Kind

catching = Kind("catching", max_steps=MANY_STEPS)
branches = Kind("branches")

# What is caught has to be a limit, and no script may hold that.
for name, ends, bomb in [
    ("loop", "max_steps|max_allocated_bytes", "[0 for i in range(1 << 40) if 0]"),
    ("memory", "max_allocated_bytes|max_steps", "hold()"),
    ("string", "max_string", '"a" * (1 << 40)'),
    ("list", "max_elements", "[0] * (1 << 40)"),
    ("integer", "max_int_bits", "grow()"),
    ("depth", "max_nesting", "str(nest())"),
    ("prints", "max_print_bytes", 'print("a" * 100000)'),
    ("calls", "max_open_calls",
     "[flow.start(ctx, f.echo, i) for i in range(10000)]"),
    ("events", "max_events", "[time.now(ctx) for i in range(1 << 17)] and time"),
    ("sort", "max_steps|max_allocated_bytes",
     "sorted(range(90000), key=lambda x: hold())"),
]:  # fmt: skip
    for depth in (1, 3):
        call = f"flow.catch(lambda: {bomb})"
        for _ in range(depth - 1):
            call = f"flow.catch(lambda: {call})"
        catching.body(
            f"{name}_{depth}",
            ends,
            f"""
            def hold():
                x = []
                for i in range(1 << 20): x = [x, list(range(100))]
            def grow():
                x = 3
                for i in range(100): x = x * x
            def nest():
                x = []
                for i in range(1000): x = [x]
                return x
            for i in range(1 << 30):
                {call}
            return "held"
        """,
        )

for name, ends, body in [
    ("forever", "spent", "for i in range(1 << 40): flow.catch(lambda: 1 // 0)"),
    (
        "long_messages",
        "spent",
        """
        for i in range(1 << 40): flow.catch(lambda: fail("a" * 100000))
    """,
    ),
    (
        "held_errors",
        "max_allocated_bytes|max_steps|max_elements",
        """
        x = []
        for i in range(1 << 40): x.append(flow.catch(lambda: fail("a" * 4000)))
    """,
    ),
    (
        "deep_traces",
        "spent",
        """
        f = lambda: fail("x")
        for i in range(60): f = (lambda g: lambda: g())(f)
        for i in range(1 << 40): flow.catch(f)
    """,
    ),
    (
        "recursion",
        "failed|returned|spent|max_call_depth",
        """
        def f(): return flow.catch(f)
        return str(f())
    """,
    ),
    (
        "catches_itself",
        "failed|returned|spent",
        "return str(flow.catch(flow.catch, flow.catch, flow.catch))",
    ),
    ("nothing", "failed", "flow.catch()"),
    ("a_number", "failed", "flow.catch(1)"),
    (
        "attributes",
        "failed|refused",
        "return str(flow.catch(lambda: fail(1)).__class__)",
    ),
    (
        "error_attributes",
        "failed|refused",
        "return str(flow.catch(lambda: fail(1)).error.__traceback__)",
    ),
    (
        "a_lock",
        "failed|returned",
        """
        x = [1, 2, 3]
        def f():
            for i in x: fail("stop")
        flow.catch(f)
        x.append(4)
        return len(x)
    """,
    ),
    (
        "half_sorted",
        "failed|returned",
        """
        x = [3, 2, 1]
        flow.catch(lambda: sorted(x, key=lambda v: fail("stop")))
        x.append(4)
        return len(x)
    """,
    ),
]:
    catching.body(name, ends, body)

for name, ends, body in [
    (
        "spawns",
        "max_branches|max_open_calls|spent|failed",
        """
        for i in range(1 << 40): flow.spawn(ctx, lambda: f.echo(ctx, 1))
    """,
    ),
    (
        "spawns_that_end",
        "max_branches|spent|max_events|failed",
        """
        for i in range(1 << 40): flow.spawn(ctx, lambda: 1)
    """,
    ),
    (
        "spawns_that_spawn",
        "max_branches|spent|max_call_depth|failed|returned",
        """
        def f(): return [flow.spawn(ctx, f), flow.spawn(ctx, f)]
        f()
    """,
    ),
    (
        "spawns_that_loop",
        "spent",
        """
        def f():
            for i in range(1 << 40): pass
        x = [flow.spawn(ctx, f) for i in range(100)]
        flow.wait(ctx, x)
    """,
    ),
    (
        "spawns_that_hold",
        "spent|max_branches",
        """
        def g():
            x = list(range(10000))
            f.echo(ctx, 1)
            return x
        y = [flow.spawn(ctx, g) for i in range(900)]
        for i in range(1 << 20): flow.wait(ctx, y)
    """,
    ),
    (
        "spawns_that_fail",
        "failed|returned",
        """
        x = [flow.spawn(ctx, lambda: fail("a" * 4000)) for i in range(500)]
        return flow.wait(ctx, x)
    """,
    ),
    (
        "waits_for_itself",
        "failed|returned|waits|InternalError",
        """
        x = []
        def f(): return flow.wait(ctx, x[0])
        x.append(flow.spawn(ctx, f))
        flow.wait(ctx, x[0])
    """,
    ),
    (
        "wait_for_each_other",
        "failed|returned|waits",
        """
        x = []
        def f(i): return flow.wait(ctx, x[1 - i])
        x.append(flow.spawn(ctx, f, 0))
        x.append(flow.spawn(ctx, f, 1))
        flow.wait(ctx, x)
    """,
    ),
    (
        "map_of_many",
        "max_open_calls|max_branches|spent|max_events|returned|failed",
        """
        return len(flow.map(ctx, f.echo, range(100000)))
    """,
    ),
    (
        "map_with_few",
        "spent|max_events|failed|returned",
        """
        flow.map(ctx, f.echo, list(range(60000)), max_concurrency=2)
    """,
    ),
    (
        "map_of_endless",
        "spent|max_elements|failed",
        """
        flow.map(ctx, f.echo, range(1 << 40))
    """,
    ),
    (
        "map_of_itself",
        "spent|failed|max_branches|max_nesting",
        """
        x = [1]
        x.append(x)
        flow.map(ctx, f.echo, x)
    """,
    ),
    (
        "map_that_changes",
        "failed|returned|max_branches|max_elements",
        """
        x = [1, 2, 3]
        flow.map(ctx, lambda v: x.append(v), x)
    """,
    ),
    (
        "first_of_many",
        "spent|failed|returned|max_open_calls",
        """
        x = [flow.start(ctx, f.echo, i) for i in range(900)]
        for i in range(1 << 20): flow.first(ctx, x)
    """,
    ),
    ("first_of_nothing", "failed", "flow.first(ctx, [])"),
    (
        "defers",
        "spent|failed|returned|max_elements|max_branches",
        """
        for i in range(1 << 40): flow.defer(ctx, lambda: 1)
    """,
    ),
    (
        "defers_that_defer",
        "spent|failed|returned|max_call_depth|max_elements",
        """
        def f(): flow.defer(ctx, f)
        f()
    """,
    ),
    (
        "defers_that_loop",
        "spent",
        """
        def f():
            for i in range(1 << 40): pass
        flow.defer(ctx, f)
    """,
    ),
    ("signals", "waits|failed", 'flow.wait_signal(ctx, "x")'),
    ("signal_names", "failed|waits", 'flow.wait_signal(ctx, "a" * 100000)'),
    (
        "statuses",
        "max_events|spent|failed|returned",
        """
        for i in range(1 << 40): flow.set_status(ctx, "a" * 1000)
    """,
    ),
    (
        "status_long",
        "failed|returned|max_string",
        'flow.set_status(ctx, "a" * 1000000)',
    ),
    (
        "restart_with_much",
        "failed|returned|max_steps",
        """
        flow.restart(ctx, ["a" * 1000000] * 2)
    """,
    ),
    (
        "restart_in_catch",
        "failed|returned|max_steps",
        """
        return str(flow.catch(lambda: flow.restart(ctx, 1)))
    """,
    ),
]:
    branches.body(name, ends, body)
