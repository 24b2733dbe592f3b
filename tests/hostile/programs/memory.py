"""Scripts that hold all they can get, of every type that there is."""

from tests.hostile.program import MANY_STEPS, Kind

memory = Kind("memory", max_steps=MANY_STEPS)

# Each is held for ever, in lists of lists so that no list is full.
for name, thing in {
    "empty_list": "[]",
    "list_of_one": "[i]",
    "long_list": "[0] * 1000",
    "empty_dict": "{}",
    "dict_of_one": "{i: i}",
    "long_dict": "{j: j for j in range(100)}",
    "tuple": "(i, i)",
    "long_tuple": "(0,) * 1000",
    "nested": "[[[[]]]]",
    "integer": "i + 1000000",
    "long_integer": "(1 << 500) + i",
    "longer_integer": "((1 << 500) + i) * (1 << 500) * (1 << 500)",
    "float": "i * 1.5",
    "string": '"%d" % i',
    "long_string": '"a" * 10000 + str(i)',
    "wide_string": '"\\U0001f600" * 2000',
    "character": "chr(i % 60000 + 256)",
    "bytes": 'bytes("a" * 1000)',
    "range": "range(i)",
    "lambda": "lambda: i",
    "lambda_with_defaults": "lambda a=i, b=i: a",
    "closure": "(lambda y: lambda: y)(i)",
    "method": "x.append",
    "string_method": '"abc".upper',
    "elems": '("a" * 100).elems()',
    "slice": "y[1:]",
    "reversed": "reversed(y)",
    "sorted": "sorted(y)",
    "enumerated": "enumerate(y)",
    "zipped": "zip(y, y)",
    "items": "z.items()",
    "keys": "z.keys()",
    "copy": "dict(z)",
    "union": "z | {i: i}",
    "split": '("a " * 50).split()',
    "characters": 'list(("a" * 100).elems())',
    "partition": '("a" * 100).partition("b")',
    "formatted": '"{}{}".format(i, i)',
    "joined": '",".join(["a" * 100, str(i)])',
    "represented": "repr(y)",
    "decoded": 'json.decode("[{}, [], {}]")',
    "encoded": "json.encode(y)",
    "duration": "time.second * i",
    "comprehension": "[j for j in y]",
    "dict_comprehension": "{j: j for j in y}",
    "directory": "dir([])",
    "attribute": 'getattr([], "append")',
    "arguments": "(lambda *a: a)(*y)",
    "keywords": "(lambda **k: k)(a=i, b=i)",
    "chunk": "list(range(i, i + 100))",
}.items():
    memory.body(
        f"hold_{name}",
        "max_allocated_bytes|max_steps",
        f"""
        x, y, z = [[]], list(range(50)), {{j: j for j in range(50)}}
        for i in range(1 << 40):
            if len(x[-1]) == 10000: x.append([])
            x[-1].append({thing})
    """,
    )

# Each link holds the one before it.
for name, link in {
    "lists": "[x]",
    "tuples": "(x,)",
    "dicts": "{0: x}",
    "lambdas": "(lambda y: lambda: y)(x)",
    "defaults": "lambda y=x: y",
    "methods": "[x].append",
    "mixed": "[(x, {1: x})]",
}.items():
    memory.body(
        f"chain_of_{name}",
        "max_allocated_bytes|max_steps",
        f"""
        x = None
        for i in range(1 << 40): x = {link}
    """,
    )

for name, ends, body in [
    ("double_string", "max_string", "x = x + x"),
    ("repeat_string", "max_string", "x = x * 1000"),
    ("double_wide_string", "max_string|max_allocated_bytes", 'x = x + "\u00e9" + x'),
    ("format_string", "max_string|failed", 'x = "%s%s" % (x, x)'),
    ("format_braces", "max_string|failed", 'x = "{0}{0}".format(x)'),
    ("join_string", "max_string", "x = x.join([x, x, x])"),
    ("replace_string", "max_string", 'x = (x + x).replace("a", x)'),
    ("quote_string", "max_string", "x = repr(x) + repr(x)"),
    ("upper_string", "max_string", 'x = (x + "\u00df").upper() + x'),
]:
    memory.body(name, ends, f'x = "a"\nfor i in range(1 << 40): {body}')

for name, ends, body in [
    ("double_list", "max_elements", "x = x + x"),
    ("double_in_place", "max_elements", "x += x"),
    ("repeat_list", "max_elements", "x = x * 1000"),
    ("extend_list", "max_elements", "x.extend(list(x))"),
    ("append_to_list", "max_elements", "x.append(0)"),
    ("insert_into_list", "max_elements|max_steps", "x.insert(0, 0)"),
    ("assign_list", "max_elements", "x = [y for y in x for z in range(2)]"),
]:
    memory.body(name, ends, f"x = [0]\nfor i in range(1 << 40): {body}")

for name, ends, body in [
    ("fill_dict", "max_elements", "x[i] = i"),
    (
        "update_dict",
        "max_elements",
        "x.update([(i * 1000 + j, j) for j in range(1000)])",
    ),
    ("default_dict", "max_elements", "x.setdefault(i, i)"),
    ("union_dict", "max_elements", "x = x | {i * 100 + j: 0 for j in range(100)}"),
]:
    memory.body(
        name,
        f"{ends}|max_steps|max_allocated_bytes",
        f"x = {{}}\nfor i in range(1 << 40): {body}",
    )

for name, thing in {
    "string": '"a" * (1 << 40)',
    "string_of_long": '"a" * ((1 << 500) * (1 << 500))',
    "list": "[0] * (1 << 40)",
    "tuple": "(0,) * (1 << 40)",
    "range": "list(range(1 << 50))",
    "range_of_long": "list(range(1 << 300))",
    "tuple_of_range": "tuple(range(1 << 62))",
    "spaces": '"%1000000000d" % 1',
    "percent": '"%999999999s" % 1',
    "format": '"{:>1000000000}".format(1)',
    "dict": "{i: [0] * 1000 for i in range(1 << 30)}",
    "comprehension": "[[0] * 1000 for i in range(1 << 30)]",
    "product": "[0 for a in range(1000) for b in range(1000)]",
    "zip": "zip(*[range(100000)] * 100000)",
    "enumerate": "enumerate(range(1 << 40))",
    "reversed": "reversed(range(1 << 40))",
    "sorted": "sorted(range(1 << 40))",
    "join": '("a" * 100000).join(["b"] * 100000)',
    "extend": "[].extend(range(1 << 40))",
    "shift": "1 << (1 << 40)",
    "indent": 'json.indent("[" * 90 + "]" * 90, indent=" " * 100000)',
    "spread": "max(*range(1 << 40))",
}.items():
    memory.body(
        f"at_once_{name}",
        "spent|max_elements|max_string|max_int_bits|failed",
        f"x = {thing}\nreturn len(x)",
    )
