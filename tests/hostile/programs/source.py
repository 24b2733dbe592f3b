"""Texts that are meant to break whoever reads and compiles them."""

from tests.hostile.program import Kind

source = Kind("source")
_MAIN = "def main(ctx, input):\n    return 1\n"

for name, text in {
    "parentheses": "(" * 100_000 + ")" * 100_000,
    "brackets": "[" * 5_000 + "]" * 5_000,
    "braces": "{1:" * 5_000 + "1" + "}" * 5_000,
    "mixed_brackets": "([{1:" * 50 + "1" + "}])" * 50,
    "open_only": "[" * 200_000,
    "close_only": ")" * 200_000,
    "long_sum": "1" + " + 1" * 20_000,
    "long_product": "1" + "*1" * 100_000,
    "long_and": "1" + " and 1" * 20_000,
    "long_comparison": "1" + " < 1" * 20_000,
    "long_dots": "input" + ".a" * 20_000,
    "long_calls": "input" + "()" * 20_000,
    "long_indexes": "input" + "[0]" * 20_000,
    "long_methods": 'input.format("")' + '.format("")' * 10_000,
    "unary_minus": "-" * 50_000 + "1",
    "unary_not": "not " * 20_000 + "1",
    "unary_mixed": "-+~" * 10_000 + "1",
    "conditionals": "1 if 1 else " * 20_000 + "1",
    "conditions": "(" * 90 + "1" + " if 1 else 1)" * 90 + " + 1" * 200,
    "lambdas": "lambda: " * 20_000 + "1",
    "lambda_defaults": "lambda a=" * 10_000 + "1" + ": 1" * 10_000,
    "many_arguments": "input(" + "1, " * 60_000 + ")",
    "many_elements": "[" + "1," * 120_000 + "]",
    "many_keys": "{" + "".join(f"{i}: 1, " for i in range(25_000)) + "}",
    "comprehension_clauses": "[0 " + "for x in [1] " * 3_000 + "]",
    "comprehension_conditions": "[0 for x in [1] " + "if x " * 10_000 + "]",
    "nested_comprehensions": "[" * 90 + "0" + " for x in [1]]" * 90,
    "long_slice": "input" + "[1:2:3]" * 10_000,
    "backslashes": "1 +\\\n" * 30_000 + "1",
    "digits": "1" + "0" * 100_000,
    "hex_digits": "0x" + "f" * 100_000,
    "exponent": "1e" + "9" * 1_000,
    "long_percent": '"%s" % ' * 10_000 + "1",
}.items():
    source.body(name, "refused|failed|max_int_bits", f"x = {text}\nreturn len(x)")

for name, text in {
    "deep_ifs": "\n".join(" " * d + "if 1:" for d in range(5_000)),
    "deep_loops": "\n".join(" " * d + f"for x{d} in [1]:" for d in range(60))
    + "\n"
    + " " * 60
    + "pass",
    "deep_defs": "\n".join(" " * d + f"def f{d}():" for d in range(90))
    + "\n"
    + " " * 90
    + "pass",
    "elifs": "if input: pass\n" + "elif input: pass\n" * 5_000,
    "many_statements": "x = 1\n" * 60_000,
    "many_assignments": "".join(f"x{i} = {i}\n" for i in range(20_000)),
    "many_defs": "".join(f"def f{i}(): pass\n" for i in range(12_000)),
    "many_lambdas": "".join(f"f{i} = lambda: {i}\n" for i in range(10_000)),
    "many_strings": 'x = "abcdef"\n' * 20_000,
    "many_loops": "for x in input: pass\n" * 11_000,
    "many_comprehensions": "x = [a for a in input]\n" * 9_000,
    "chained_targets": "(" * 90 + "x" + ",)" * 90 + " = input",
    "wide_target": ", ".join(f"x{i}" for i in range(30_000)) + " = input",
    "semicolons": "x = 1;" * 30_000,
    "long_name": "x" * 200_000 + " = 1",
    "long_string": 'x = "' + "a" * 250_000 + '"',
    "escapes": 'x = "' + "\\x41" * 60_000 + '"',
    "octals": 'x = "' + "\\777" * 1_000 + '"',
    "unicode_escape": 'x = "\\UFFFFFFFF"',
    "surrogate_escape": 'x = "\\ud800"',
    "unterminated": 'x = "' + "a\\" * 100_000,
    "triple_quoted": 'x = """' + '"' * 2 + "\n" * 200_000,
    "nul": 'x = "\0"',
    "form_feeds": "\f" * 100_000,
    "odd_spaces": "x\u00a0=\u20031",
    "right_to_left": 'x = "\u202e"; y = \u202e1',
    "bad_digits": "x = \u0663",
    "tabs": "if 1:\n\tx = 1\n        y = 1",
    "comments": "# " + "a" * 200_000,
    "empty_lines": "\n" * 250_000 + "return 1",
    "carriage_returns": "\r" * 200_000,
}.items():
    source.body(name, "refused|failed|returned", text)

source.file("empty", "refused", "")
source.file("only_newlines", "refused", "\n" * 262_000)
source.file("too_long", "refused", _MAIN + "#" * 262_144)
source.file("too_long_in_bytes", "refused", _MAIN + "# " + "\U0001f600" * 80_000)
source.file("byte_order_mark", "refused", "\ufeff" + _MAIN)
source.file("no_main", "refused", "x = 1\n")
source.file("main_is_a_number", "refused", "main = 1\n")
source.file("main_wants_more", "refused", "def main(a, b, c): pass\n")
source.file(
    "parameters",
    "refused|returned",
    "def f(" + ", ".join(f"p{i}" for i in range(20_000)) + "): pass\n" + _MAIN,
)
source.file(
    "defaults",
    "refused|returned",
    "def f(" + ", ".join(f"p{i}={i}" for i in range(12_000)) + "): pass\n" + _MAIN,
)
source.file(
    "globals",
    "refused|returned",
    "".join(f"g{i} = {i}\n" for i in range(12_000)) + _MAIN,
)
source.file(
    "chain_of_defs",
    "refused|failed|returned",
    "def f0(): return 1\n"
    + "".join(f"def f{i}(): return f{i - 1}()\n" for i in range(1, 3_000))
    + "def main(ctx, input): return f2999()\n",
)
source.file("top_level_if", "refused", "if True:\n    x = 1\n" + _MAIN)
source.file("top_level_loop", "refused", "for i in range(1 << 40): pass\n" + _MAIN)
source.file(
    "top_level_comprehension",
    "max_elements",
    "x = [0 for i in range(1 << 40)]\n" + _MAIN,
)
source.file("top_level_string", "max_string", 'x = "a" * (1 << 40)\n' + _MAIN)
