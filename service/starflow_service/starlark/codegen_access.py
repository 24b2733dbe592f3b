"""Elements and displays, inline where the container is an ordinary list or dict.

An ordinary one is a `List` or a `Dict` itself: those that are frozen or being iterated
over are of other classes, so that a single test of the class covers both.  Reading and
writing inline needs no look at the index: when it is not there, Python says so, and the
thread does the operation once more for its words (`Unit.accesses` says with what).
"""

import ast

from starflow_service.starlark import pysyntax as py
from starflow_service.starlark import syntax
from starflow_service.starlark.caps import ENTRY, HEADER, SLOT, TABLE
from starflow_service.starlark.codegen_ops import Operators, key_tests
from starflow_service.starlark.kinds import ANY, NOTHING, STR
from starflow_service.starlark.pysyntax import At, at, is_simple, is_small


class Elements(Operators):
    """Compiles `x[i]`, `x[i] = v`, `[...]` and `{...}`."""

    # Reading

    def index(self, node: syntax.Index, place: At) -> ast.expr:
        """Compile `x[i]`."""
        owner, index = self.operands([node.operand, node.index])
        return self.element(owner, index, node, place)

    def element(
        self, owner: ast.expr, index: ast.expr, node: syntax.Index, place: At
    ) -> ast.expr:
        """Return `owner[index]`."""
        kind = self.kinds.of(node.index)
        if self.unit.lean or isinstance(owner, ast.Constant):
            # A literal is no list or dict, and Python would warn of indexing it.
            return py.metered("!index", [owner, index], place)
        if kind.tag == "int" or isinstance(index, ast.Constant):
            return self._element_of_one(owner, index, node, place)
        if not is_simple(owner):
            return py.metered("!index", [owner, index], place)
        once, again = self.twice(index, place)
        in_dict = py.has_type(owner, "!Dict", place)
        tests: list[ast.expr] = []
        if kind is not STR:
            in_list = py.has_type(owner, "!List", place)
            tests.append(py.both([py.has_type(once, "!int", place), in_list], place))
            once = again
        keyed = key_tests(once, again, kind, place)
        if keyed is None:
            return py.metered("!index", [owner, index], place)
        # The index first, so that it is evaluated whatever the owner is.
        tests.append(py.both([*keyed, in_dict], place))
        self._note(node, owner, again)
        test = py.either(tests, place)
        read = py.subscript(owner, again, place)
        helped = py.metered("!index", [owner, again], place)
        return ast.IfExp(test, read, helped, **place)

    def _element_of_one(
        self, owner: ast.expr, index: ast.expr, node: syntax.Index, place: At
    ) -> ast.expr:
        """Return `owner[index]` for an index that only one container can take."""
        keyed = key_tests(index, index, ANY, place) == []
        numbered = self.kinds.of(node.index).tag == "int"
        if not (keyed or numbered) or not is_small(index):
            return py.metered("!index", [owner, index], place)
        once, again = self.twice(owner, place)
        # Reading does not mind whether it is frozen; most are none of the others.
        ordinary = py.has_type(once, "!Dict" if keyed else "!List", place)
        others = "!dicts" if keyed else "!sequences"
        test = py.either([ordinary, py.is_among(again, others, place)], place)
        inside, noted = self.twice(index, place)
        self._note(node, again, noted)
        read = py.subscript(again, inside, place)
        helped = py.metered("!index", [again, index], place)
        return ast.IfExp(test, read, helped, **place)

    def twice(self, value: ast.expr, place: At) -> tuple[ast.expr, ast.expr]:
        """Return *value* as it is evaluated, and as it is used again afterwards."""
        if is_simple(value):
            return value, value
        name = self.temporary()
        return py.walrus(name, value, place), py.load(name, place)

    def _note(self, node: syntax.Index, owner: ast.expr, index: ast.expr) -> None:
        if is_simple(owner) and is_simple(index):
            self.unit.accesses[node.pos] = (owner, index)

    # Writing

    def set_element(
        self,
        owner: ast.expr,
        index: ast.expr,
        value: ast.expr,
        node: syntax.Index,
        place: At,
    ) -> None:
        """Emit `owner[index] = value`, whose operands are evaluated already."""
        helped = py.metered("!set_index", [owner, index, value], place)
        store = ast.Expr(helped, **place)
        kind = self.kinds.of(node.index)
        plain = isinstance(owner, ast.Name) and is_simple(index)
        if self.unit.lean or not plain:
            self.emit(store)
            return
        keyed = key_tests(index, index, kind, place)
        if kind is STR and keyed is not None:
            # A new entry has to be paid for, so only those that are there are set.
            known = ast.Compare(index, [ast.In()], [owner], **place)
            tests = [py.has_type(owner, "!Dict", place), *keyed, known]
        elif kind.tag == "int":
            tests = [py.has_type(owner, "!List", place)]
        elif kind in (ANY, NOTHING):
            tests = [
                py.has_type(owner, "!List", place),
                py.has_type(index, "!int", place),
            ]
        else:
            self.emit(store)
            return
        self._note(node, owner, index)
        target = ast.Subscript(owner, index, ast.Store(), **place)
        direct = ast.Assign([target], value, **place)
        self.emit(ast.If(py.both(tests, place), [direct], [store], **place))

    # Displays

    def list_display(self, node: syntax.ListExpr, place: At) -> ast.expr:
        """Compile `[...]`."""
        self.cost.bytes += HEADER + SLOT * len(node.items)
        items = self.operands(node.items)
        given = [py.list_of(items, place)] if items else []
        return py.call("!List", given, place)

    def tuple_display(self, node: syntax.TupleExpr, place: At) -> ast.expr:
        """Compile `(...)`."""
        self.cost.bytes += HEADER + SLOT * len(node.items)
        return py.tuple_of(self.operands(node.items), place)

    def dict_display(self, node: syntax.DictExpr, place: At) -> ast.expr:
        """Compile `{...}`."""
        parts = self.operands([p for e in node.entries for p in (e.key, e.value)])
        keys, values = parts[::2], parts[1::2]
        if _are_distinct(keys):
            self.cost.bytes += HEADER + TABLE + ENTRY * len(keys)
            given = [ast.Dict([*keys], values, **place)] if keys else []
            return py.call("!Dict", given, place)
        # Entry by entry, so that the error of a key is at that key: `(d, put, put)[0]`.
        name = self.temporary()
        count = py.constant(len(keys), place)
        made = py.walrus(name, py.metered("!new_dict", [count], place), place)
        puts = [
            py.metered("!put", [py.load(name, place), key, value], at(entry.start))
            for entry, key, value in zip(node.entries, keys, values, strict=True)
        ]
        whole = py.tuple_of([made, *puts], place)
        return py.subscript(whole, py.constant(0, place), place)


def _are_distinct(keys: list[ast.expr]) -> bool:
    """Tell whether all keys are different strings."""
    values = [key.value for key in keys if isinstance(key, ast.Constant)]
    strings = {value for value in values if type(value) is str}
    return len(strings) == len(keys)
