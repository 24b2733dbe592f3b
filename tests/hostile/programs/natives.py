"""One native operation as large as it can be, again and again.

Nothing can interrupt it, so each of these also says how long the loop is held.
"""

from tests.hostile.program import SOME_STEPS, Kind

natives = Kind("natives", max_steps=SOME_STEPS)

_SETUP = """
S = "ab" * 500000
W = "\\U0001f600" * 250000
T = "a " * 50000
N = "a\\n" * 50000
L = list(range(100000))
Q = tuple(L)
R = [(i * 7919) % 100003 for i in range(100000)]
E = [str(100000 + i) for i in range(50000)]
F = [i * 1.5 for i in range(100000)]
D = {i: i for i in range(100000)}
K = {str(100000 + i): i for i in range(20000)}
P = [[i] for i in range(50000)]
B = (1 << 500) * (1 << 500) * (1 << 500) * (1 << 500)
B = B * B * B * B * B * B * B * B
J = json.encode(L)
O = json.encode(K)
"""

for name, operation in {
    # Lists and tuples
    "list": "list(Q)",
    "list_of_range": "list(range(100000))",
    "tuple": "tuple(L)",
    "reversed": "reversed(L)",
    "enumerate": "enumerate(L)",
    "zip": "zip(L, Q, F)",
    "slice": "L[1:]",
    "slice_by_step": "L[::-1]",
    "slice_of_tuple": "Q[::2]",
    "add_lists": "L[:50000] + L[:50000]",
    "add_tuples": "Q[:50000] + Q[:50000]",
    "repeat_list": "[1] * 100000",
    "repeat_tuple": "(1, 2) * 50000",
    "equal_lists": "L == list(L)",
    "equal_nested": "P == list(P)",
    "less_lists": "L < L + [] and Q < Q",
    "in_list": "-1 in L",
    "in_list_of_strings": '"x" in E',
    "in_list_of_lists": "[-1] in P",
    "in_tuple": "-1 in Q",
    "in_floats": "1.25 in F",
    "index": "L.index(99999)",
    "remove": "list(L).remove(99999)",
    "insert": "list(L[1:]).insert(0, 1)",
    "pop": "list(L).pop(0)",
    "clear": "list(L).clear()",
    "extend": "[].extend(Q)",
    "extend_by_range": "[].extend(range(100000))",
    "unpack": "[x for x, in [(i,) for i in L]]",
    "sorted": "sorted(R)",
    "sorted_reverse": "sorted(R, reverse=True)",
    "sorted_floats": "sorted(F)",
    "sorted_mixed": "sorted([i if i % 2 else i * 1.5 for i in R])",
    "sorted_strings": "sorted(E)",
    "sorted_tuples": "sorted([(i, i) for i in R[:30000]])",
    "sorted_lists": "sorted(P)",
    "min": "min(R)",
    "max": "max(F)",
    "max_of_strings": "max(E)",
    "max_of_arguments": "max(*R)",
    "all": "all(L[1:])",
    "any": "any([0] * 100000)",
    "str": "str(L)",
    "str_of_floats": "str(F)",
    "repr_of_strings": "repr(E)",
    "str_of_dict": "str(D)",
    # Dicts
    "dict": "dict(D)",
    "dict_of_pairs": "dict([(i, i) for i in L])",
    "dict_keywords": "dict(**K)",
    "keys": "D.keys()",
    "values": "D.values()",
    "items": "D.items()",
    "update": "dict(D).update(D)",
    "union": "D | D",
    "equal_dicts": "D == dict(D)",
    "clear_dict": "dict(D).clear()",
    "popitem": "dict(D).popitem()",
    "pop_key": "dict(D).pop(99999)",
    # Strings
    "add": "S[:500000] + S[:500000]",
    "repeat": '"abc" * 333333',
    "find": 'S.find("aa")',
    "find_wide": 'W.find("a")',
    "find_half": 'S.find("ab" * 249999 + "c")',
    "find_third": 'S.find("b" + "ab" * 166000 + "b")',
    "rfind": 'S.rfind("aa")',
    "rfind_half": 'S.rfind("c" + "ab" * 249999)',
    "count": 'S.count("b")',
    "count_half": 'S.count("ab" * 249999 + "c")',
    "in": '"bb" in S',
    "in_half": '("ab" * 249999 + "c") in S',
    "replace": 'S.replace("b", "c")',
    "replace_once": 'S.replace("bb", "c", 1)',
    "replace_by_nothing": 'S.replace("ab", "")',
    "replace_empty": 'S[:400000].replace("", "x")',
    "split": 'T.split(" ")',
    "split_spaces": "T.split()",
    "rsplit": 'T.rsplit(" ")',
    "rsplit_long": 'S.rsplit("c" + "ab" * 249999)',
    "partition": 'S.partition("bb")',
    "rpartition": 'S.rpartition("bb")',
    "splitlines": "N.splitlines()",
    "strip": 'S.strip("ab")',
    "strip_long": 'S.strip("cdefghijklmnopqrstuvwxyz" * 40)',
    "lstrip_wide": 'W.lstrip("\\U0001f600")',
    "upper": "S.upper()",
    "upper_sharp": '("\\u00df" * 300000).upper()',
    "lower_wide": '("\\u0130" * 300000).lower()',
    "title": "S.title()",
    "capitalize": "S.capitalize()",
    "isalpha": "S.isalpha()",
    "islower": "S.islower()",
    "istitle": "S.istitle()",
    "isspace": '(" " * 1000000).isspace()',
    "startswith": "S.startswith(S)",
    "startswith_many": "S.startswith(tuple(E))",
    "endswith": "S.endswith(S)",
    "removeprefix": 'S.removeprefix("ab")',
    "join": '"".join(E)',
    "join_long": '(",").join([S[:9000]] * 100)',
    "equal_strings": "S == S[:999999] + 'b'",
    "less_strings": "S < S[:999999] + 'b'",
    "hash": "hash(S)",
    "repr": "repr(S)",
    "repr_escaped": 'repr("\\x01" * 200000)',
    "slice_string": "S[1:]",
    "slice_string_by_step": "S[::-1]",
    "slice_wide": "W[1:]",
    "elems": "list(S[:100000].elems())",
    "codepoints": "list(W[:100000].codepoints())",
    "elem_ords": "list(S[:100000].elem_ords())",
    "bytes": "bytes(S)",
    "bytes_wide": "bytes(W[:200000])",
    "str_of_bytes": "str(bytes(S))",
    "int": 'int("9" * 19000)',
    "int_bad": 'int("1" * 4000 + "0", 2)',
    "float": 'float("1" + "0" * 300)',
    "format": '("{}" * 30000).format(*L[:30000])',
    "percent": '("%s" * 30000) % Q[:30000]',
    "percent_floats": '("%g" * 30000) % tuple(F[:30000])',
    "percent_keys": '("%(100001)s" * 20000) % K',
    # Integers
    "multiply": "B * B",
    "divide": "B * B // B",
    "modulo": "B * B % (B - 1)",
    "shift": "B << 500",
    "xor": "(B ^ (B >> 1)) | B & ~B",
    "str_of_int": "str(B * B)",
    "int_to_float": "float(1 << 500)",
    "compare_ints": "B * B == B * B + 1",
    # Modules
    "json_decode": "json.decode(J)",
    "json_decode_object": "json.decode(O)",
    "json_encode": "json.encode(L)",
    "json_encode_floats": "json.encode(F)",
    "json_encode_object": "json.encode(K)",
    "json_encode_text": "json.encode(S[:500000])",
    "json_encode_wide": "json.encode(W[:100000])",
    "json_encode_escaped": 'json.encode("\\x01" * 150000)',
    "json_indent": "json.indent(J)",
    "math_pow": "[math.pow(x, 2) for x in F]",
    "parse_duration": 'time.parse_duration("1h" * 50000)',
}.items():
    # An operation that its own caps refuse is one that cannot be abused.
    ends = "spent|failed|max_elements|max_string|max_int_bits"
    natives.body(name, ends, f"{_SETUP}\nfor i in range(1 << 40):\n    {operation}\n")
