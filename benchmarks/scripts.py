"""The workflows of the workloads."""

# About a hundred bytes as JSON.
PAYLOAD = {
    "order": "A-1000234",
    "customer": "c-77812",
    "cents": 4200,
    "items": ["lamp", "bulb"],
    "note": "leave it at the door",
}

STEPS_A_RUN = 10
PARALLEL_STEPS = 100

SEQUENTIAL = """
def main(ctx, input):
    value = input
    for n in range(10):
        value = bench.echo(ctx, value)
    return value
"""

SEQUENTIAL_PLAIN = SEQUENTIAL.replace("bench.echo", "bench.echo_plain")

ONE_STEP = """
def main(ctx, input):
    return bench.echo(ctx, input)
"""

PARALLEL = """
load("flow", "start", "wait")

def main(ctx, input):
    calls = [start(ctx, bench.echo, input) for n in range(100)]
    return len(wait(ctx, calls))
"""

SLOW = """
def main(ctx, input):
    for n in range(10):
        bench.slow(ctx, {"n": n, "ms": 50})
    return "done"
"""

PARKED = """
def main(ctx, input):
    return bench.park(ctx)
"""

# Valid once the worker is known.
ALL_FUNCTIONS = """
def main(ctx, input):
    bench.echo(ctx)
    bench.echo_plain(ctx)
    bench.slow(ctx)
    bench.park(ctx)
"""
