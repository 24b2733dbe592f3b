"""Attempts to reach what is below the language: Python's objects, files, frames."""

from tests.hostile.program import Kind

escape = Kind("escape")
names = Kind("names")
load = Kind("load")

for name, ends, expression in [
    ("class", "refused|failed", "().__class__"),
    ("class_of_text", "refused|failed", '"".__class__.__mro__'),
    ("class_of_function", "refused|failed", "main.__globals__"),
    ("code", "refused|failed", "main.__code__"),
    ("closure", "refused|failed", "(lambda: ctx).__closure__"),
    ("defaults", "refused|failed", "(lambda a=1: a).__defaults__"),
    ("builtins", "refused|failed", "__builtins__"),
    ("import", "refused|failed", '__import__("os")'),
    ("loader", "refused|failed", "__loader__"),
    ("name", "refused|failed", "__name__"),
    ("file", "refused|failed", "__file__"),
    ("debug", "refused|failed", "__debug__"),
    ("dict_of", "refused|failed", "[].__dict__"),
    ("context_dict", "refused|failed", "ctx.__dict__"),
    ("context_class", "refused|failed", "ctx.__class__"),
    ("context_directory", "returned|failed", "dir(ctx)"),
    ("future_class", "refused|failed", "flow.start(ctx, f.echo, 1).__class__"),
    ("module_dict", "refused|failed", "json.__dict__"),
    ("module_loader", "refused|failed", "json.__loader__"),
    ("module_private", "refused|failed", "json._members"),
    ("module_members", "refused|failed", "json.members"),
    ("builtin_self", "refused|failed", "len.__self__"),
    ("method_self", "refused|failed", "[].append.__self__"),
    ("method_function", "refused|failed", "[].append.__func__"),
    ("reduce", "refused|failed", "[].__reduce__()"),
    ("reduce_ex", "refused|failed", '"".__reduce_ex__(2)'),
    ("getattr_class", "failed", 'getattr([], "__class__")'),
    ("getattr_joined", "failed", 'getattr([], "__" + "class" + "__")'),
    ("getattr_default", "returned", 'getattr([], "__class__", 1)'),
    ("getattr_meter", "failed", 'getattr(main, "!M")'),
    ("getattr_of_mangled", "failed", 'getattr(ctx, "main!")'),
    ("hasattr_class", "returned", 'hasattr([], "__class__")'),
    ("format_class", "failed", '"{0.__class__}".format(1)'),
    ("format_globals", "failed", '"{0.__globals__}".format(main)'),
    ("format_item", "failed", '"{0[__class__]}".format({})'),
    ("format_keyword", "failed", '"{a.__class__}".format(a=1)'),
    ("format_map", "failed|refused", '"{a}".format_map({})'),
    ("percent_class", "failed", '"%(__class__)s" % 1'),
    ("dict_class", "failed", '{}["__class__"]'),
    ("type_call", "failed|returned", 'type([])("x")'),
    ("type_three", "failed", 'type("X", (), {})'),
    ("str_of_function", "returned|failed", "str(len)"),
    ("repr_of_context", "returned|failed", "repr(ctx)"),
    ("repr_of_lambda", "returned|failed", "repr(lambda: 1)"),
    ("repr_of_method", "returned|failed", "repr([].append)"),
    ("repr_of_module", "returned|failed", "repr(json)"),
    ("eval", "refused", 'eval("1")'),
    ("exec", "refused", 'exec("1")'),
    ("compile", "refused", 'compile("1", "", "eval")'),
    ("open", "refused", 'open("/etc/passwd")'),
    ("input", "refused|failed", "input()"),
    ("globals", "refused", "globals()"),
    ("locals", "refused", "locals()"),
    ("vars", "refused", "vars()"),
    ("super", "refused", "super()"),
    ("object", "refused", "object()"),
    ("memoryview", "refused", 'memoryview(b"a")'),
    ("bytearray", "refused", "bytearray(10)"),
    ("property", "refused", "property()"),
    ("breakpoint", "refused", "breakpoint()"),
    ("exit", "refused", "exit()"),
    ("iter", "refused", "iter([])"),
    ("next", "refused", "next([])"),
    ("map", "refused", "map(len, [])"),
    ("setattr", "refused", 'setattr(ctx, "a", 1)'),
    ("delattr", "refused", 'delattr(ctx, "a")'),
    ("id", "refused", "id(ctx)"),
    ("isinstance", "refused", "isinstance(1, int)"),
    ("issubclass", "refused", "issubclass(1, 2)"),
    ("callable", "refused", "callable(1)"),
    ("f_string", "refused", 'f"{ctx}"'),
    ("bytes_string", "returned|refused|failed", 'b"abc"'),
    ("ellipsis", "refused", "..."),
    ("complex", "refused", "1j"),
    ("walrus", "refused", "(x := 1)"),
    ("star", "refused", "[*[1]]"),
    ("double_star", "refused", "{**{}}"),
    ("yield", "refused", "(yield 1)"),
    ("await", "refused", "await ctx"),
    ("power", "refused", "2 ** 100"),
    ("matrix", "refused", "1 @ 2"),
    ("is", "refused", "ctx is None"),
    ("generator", "refused", "list(x for x in [1])"),
    ("set", "refused|failed|returned", "{1, 2}"),
    ("attribute_of_none", "failed|refused", "None.x"),
    ("attribute_of_number", "failed|refused", "(1).real"),
    ("attribute_of_float", "failed|refused", "(1.5).hex()"),
    ("attribute_of_range", "failed|refused", "range(3).start"),
    ("attribute_of_tuple", "failed|refused", "(1, 2).index(1)"),
    ("method_of_python_list", "failed|refused", "[3, 1].sort()"),
    ("method_of_python_copy", "failed|refused", "[1].copy()"),
    ("method_of_python_fromkeys", "failed|refused", "{}.fromkeys([1])"),
    ("private_of_list", "failed|refused", "[].frozen"),
    ("private_of_dict", "failed|refused", "{}.holes"),
]:
    escape.body(name, ends, f"return str({expression})")

for name, ends, statement in [
    ("class", "refused", "class X: pass"),
    ("try", "refused", "try:\n    pass\nexcept: pass"),
    ("raise", "refused", "raise 1"),
    ("while", "refused", "while True: pass"),
    ("with", "refused", "with ctx: pass"),
    ("import_module", "refused", "import os"),
    ("from_import", "refused", "from os import path"),
    ("delete", "refused", "del ctx"),
    ("global", "refused", "global x"),
    ("nonlocal", "refused", "nonlocal x"),
    ("assert", "refused|failed|returned", "assert(1)"),
    ("async", "refused", "async def f(): pass"),
    ("annotation", "refused", "x: int = 1"),
    ("attribute_target", "refused|failed", "ctx.x = 1"),
    ("attribute_of_list", "refused|failed", "[].x = 1"),
    ("attribute_of_module", "refused|failed", "json.encode = 1"),
    ("call_target", "refused", "main() = 1"),
    ("item_of_context", "failed", "ctx[0] = 1"),
    ("item_of_text", "failed", 'x = "abc"\nx[0] = "b"'),
    ("item_of_tuple", "failed", "x = (1, 2)\nx[0] = 2"),
    ("item_of_range", "failed", "x = range(3)\nx[0] = 2"),
    ("item_of_input", "failed|returned", "input[0] = 2"),
    ("decorator", "refused", "@ctx\ndef f(): pass"),
    ("positional_only", "refused", "def f(a, /): pass"),
    ("return_type", "refused", "def f() -> int: pass"),
    ("lambda_statement", "refused", "x = lambda: return 1"),
    ("print_statement", "refused", 'print "a"'),
    ("exec_statement", "refused", 'exec "a"'),
]:
    escape.body(f"statement_{name}", ends, statement)

# Words that mean something to Python, and names that the compiler uses itself.
_PYTHON = """
None True False __debug__ __class__ __name__ __builtins__ __import__ __file__ print len
str list type object Exception self cls super match case type_ exec eval M ctx main f g
u _ __ ___ __annotations__ __doc__ NotImplemented Ellipsis nonlocal async await is
assert class import while try except finally with raise global del yield from as
"""
for word in _PYTHON.split():
    names.top(
        f"everywhere_{word}",
        "refused|failed|returned",
        f"""
        {word} = 1
        def use({word}):
            return {word}
        def main(ctx, input):
            for {word} in [1, 2]: pass
            [{word} for {word} in [1]]
            return use({word}={word})
    """,
    )
names.top(
    "builtin_as_main",
    "refused|failed|returned",
    "len = 1\ndef main(ctx, input):\n    return len",
)
names.top(
    "shadowed_module",
    "refused|failed|returned",
    """
    def main(ctx, input):
        json = {"encode": 1}
        return json.encode(1)
""",
)
names.top(
    "shadowed_range",
    "refused|failed|returned",
    """
    def range(n): return [1] * 10
    def main(ctx, input):
        return [x for x in range(1 << 40)]
""",
)
names.top("global_twice", "refused", "x = 1\nx = 2\ndef main(ctx, input): return x")
names.top(
    "main_twice",
    "refused",
    "def main(ctx, input): return 1\ndef main(ctx, input): return 2",
)
names.top("frozen_global", "failed", "x = []\ndef main(ctx, input): x.append(1)")
names.top("frozen_dict", "failed", "x = {}\ndef main(ctx, input): x[1] = 1")
names.top("frozen_inside", "failed", "x = ([],)\ndef main(ctx, input): x[0].append(1)")
names.top(
    "frozen_default",
    "failed",
    "def f(x=[]):\n    x.append(1)\n    return x\ndef main(ctx, input): return f()",
)
names.top(
    "frozen_closure",
    "failed",
    """
    def make():
        x = []
        return lambda: x.append(1)
    add = make()
    def main(ctx, input): add()
""",
)
names.top(
    "context_as_global",
    "failed|refused|returned",
    """
    kept = []
    def main(ctx, input): kept.append(ctx)
""",
)

for name, text in {
    "parent": 'load("../../etc/passwd", "x")',
    "absolute": 'load("/etc/passwd", "x")',
    "python_module": 'load("os", "system")',
    "python_file": 'load("os.py", "system")',
    "label": 'load("//x:y.star", "z")',
    "url": 'load("http://localhost:1/x.star", "x")',
    "empty": 'load("", "x")',
    "nul": 'load("json\\x00", "encode")',
    "long": 'load("' + "a" * 100_000 + '", "x")',
    "itself": 'load("script.star", "main")',
    "private": 'load("json", "_encode")',
    "dunder": 'load("json", "__class__")',
    "missing": 'load("json", "encode_all")',
    "nothing": 'load("json")',
    "number": 'load(1, "x")',
    "computed": 'load("js" + "on", "json")',
    "star": 'load("json", "*")',
    "as_none": 'load("json", None="encode")',
    "as_debug": 'load("json", __debug__="encode")',
    "twice": 'load("json", "encode")\nload("json", "encode")',
    "many": 'load("json", ' + ", ".join(f'x{i}="encode"' for i in range(10_000)) + ")",
    "in_function": 'def f():\n    load("json", "encode")',
    "mangled": 'load("json", "encode!")',
    "unicode": 'load("j\u0455on", "encode")',
}.items():
    load.file(
        name,
        "refused|returned",
        f"{text}\ndef main(ctx, input):\n    return 1\n",
    )
