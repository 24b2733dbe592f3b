"""Blocks of names, and which variable a name in one of them means.

A function may use a variable that is bound further down, in itself or around it.  So
names are only collected while the tree is walked, and looked up when all is known.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from starflow_service.starlark.syntax import FunctionInfo, Name, Pos, Scope


@dataclass(slots=True)
class Binding:
    """A variable: its name in the compiled program, and where it is bound first."""

    name: str
    pos: Pos
    scope: Scope
    is_loaded: bool = False


@dataclass(slots=True)
class Block:
    """The names that the file, a function or a comprehension binds."""

    kind: Literal["file", "function", "comprehension"]
    parent: "Block | None"
    bindings: dict[str, Binding] = field(default_factory=dict)
    # Of a function: its variables and those of its comprehensions, and the names that
    # it uses of functions around it (a dict for its order).
    variables: dict[str, Binding] = field(default_factory=dict)
    free: dict[str, None] = field(default_factory=dict)

    def function(self) -> "Block":
        """Return the function, or the file, that this block is part of."""
        block = self
        while block.kind == "comprehension" and block.parent is not None:
            block = block.parent
        return block

    def outwards(self) -> "Iterator[Block]":
        """Yield this block and those around it."""
        block: Block | None = self
        while block is not None:
            yield block
            block = block.parent

    def visible(self) -> set[str]:
        """Return the names that something in this block can use."""
        return {name for block in self.outwards() for name in block.bindings}


@dataclass(slots=True)
class Use:
    """One occurrence of a name, binding ones included."""

    name: Name
    block: Block
    binding: Binding | None = None


class Scopes:
    """All blocks and names of a file."""

    def __init__(self) -> None:
        self.file = Block("file", None)
        self.block = self.file
        self.uses: list[Use] = []
        self._infos: list[tuple[FunctionInfo, Block]] = []
        self._renamed = 0

    def push(self, kind: Literal["function", "comprehension"]) -> Block:
        """Enter a new block."""
        self.block = Block(kind, self.block)
        return self.block

    def pop(self) -> None:
        """Leave the block."""
        assert self.block.parent is not None
        self.block = self.block.parent

    def use(self, name: Name) -> Use:
        """Note that *name* is used in this block."""
        use = Use(name, self.block)
        self.uses.append(use)
        return use

    def bind(self, name: Name, *, is_loaded: bool = False) -> Binding | None:
        """Bind *name* in this block; return what it was bound to in it before."""
        block = self.block
        before = block.bindings.get(name.name)
        if before is None:
            block.bindings[name.name] = self._new_binding(name, is_loaded=is_loaded)
        self.use(name)
        return before

    def _new_binding(self, name: Name, *, is_loaded: bool) -> Binding:
        if self.block.kind == "file":
            return Binding(name.name, name.start, "global", is_loaded)
        new = name.name
        if self.block.kind == "comprehension":
            self._renamed += 1
            new = f"{new}!{self._renamed}"
        binding = Binding(new, name.start, "local")
        self.block.function().variables[new] = binding
        return binding

    def info(self, block: Block) -> FunctionInfo:
        """Return a record about a function's block that `settle` fills in."""
        info = FunctionInfo([], [], [])
        self._infos.append((info, block))
        return info

    def settle(self, universe: frozenset[str]) -> None:
        """Decide what each name means."""
        for use in self.uses:
            self._look_up(use, universe)
        for use in self.uses:
            # Only now is it known which locals are shared with inner functions.
            if use.binding is not None and use.name.scope is None:
                use.name.scope = use.binding.scope
        for info, block in self._infos:
            info.locals = list(block.variables)
            info.cells = [n for n, b in block.variables.items() if b.scope == "cell"]
            info.free = list(block.free)

    def _look_up(self, use: Use, universe: frozenset[str]) -> None:
        crossed: list[Block] = []
        for block in use.block.outwards():
            binding = block.bindings.get(use.name.name)
            if binding is not None:
                use.binding = binding
                use.name.name = binding.name
                if crossed and binding.scope != "global":
                    self._capture(use, binding, crossed)
                return
            if block.kind == "function":
                crossed.append(block)
        use.name.scope = "universal" if use.name.name in universe else "host"

    def _capture(self, use: Use, binding: Binding, crossed: list[Block]) -> None:
        binding.scope = "cell"
        use.name.scope = "free"
        for block in crossed:
            block.free[binding.name] = None
