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

# They compute for as long as they may, each in another way.
HOGS = tuple(
    f"""
load("json", "json")

def main(ctx, input):
    numbers = [(i * 7919) % 10007 for i in range(10000)]
    for i in range(1 << 40):
        {hog}
"""
    for hog in (
        "i % 7",
        "sorted(numbers)",
        "{'%d' % i: [i]}",
        "json.decode(json.encode(numbers[:1000]))",
    )
)

# Valid once the worker is known.
ALL_FUNCTIONS = """
def main(ctx, input):
    bench.echo(ctx)
    bench.echo_plain(ctx)
    bench.slow(ctx)
    bench.park(ctx)
"""
