"""Cuts the text of a script into tokens.

A fault does not stop the scanner: it becomes a token of kind "error", which the parser
reports when it gets there, so that all faults come out in the order of the text.
"""

import re
from typing import Final

from starflow_service.starlark.diagnostics import Diagnostic, ScriptSyntaxError
from starflow_service.starlark.literals import (
    LiteralError,
    bytes_value,
    float_value,
    int_value,
    string_value,
)
from starflow_service.starlark.syntax import Pos
from starflow_service.starlark.tokens import (
    BRACKETS_MAX,
    INDENTS_MAX,
    KEYWORDS,
    RESERVED,
    SOURCE_BYTES_MAX,
    TOKENS_MAX,
    Token,
)

_TOKEN: Final = re.compile(
    r"""
      (?P<space>    [ \t]+ | \\\n | \#[^\n]* )
    | (?P<newline>  \n )
    | (?P<string>   (?:rb|r|b)? (?:'''|\"\"\"|'|") )
    | (?P<name>     [A-Za-z_][A-Za-z0-9_]*+ )
    | (?P<int>      0[xX][0-9a-fA-F]* | 0[oO][0-7]* | 0[bB][01]*
                    | [0-9]++ (?! [.eE] ) )
    | (?P<float>    (?: [0-9]+ \.? [0-9]* | \.[0-9]+ ) (?: [eE][+-]?[0-9]* )? )
    | (?P<open>     [(\[{] )
    | (?P<close>    [)\]}] )
    | (?P<operator> (?: // | >> | << | [-+*/%&|^<>=!] ) = | // | >> | << | \*\*
                    | [-+*/%&|^~<>=.,;:] )
    """,
    re.VERBOSE,
)
# The rest of a string after its opening quotes.  Possessive inside, because otherwise
# a quantifier within a quantifier would try every way to divide a string that has no
# end.  Not so outside: early releases of Python 3.11, Debian 12's among them, get a
# possessive group wrong.
_STRING_REST: Final = {
    "'": re.compile(r"(?:[^'\\\n]++|\\.)*'", re.DOTALL),
    '"': re.compile(r'(?:[^"\\\n]++|\\.)*"', re.DOTALL),
    "'''": re.compile(r"(?:[^'\\]++|\\.|'(?!''))*'''", re.DOTALL),
    '"""': re.compile(r'(?:[^"\\]++|\\.|"(?!""))*"""', re.DOTALL),
}
_INDENTATION: Final = re.compile(r"[ \t]*")
_TAB: Final = 8

_STRAY: Final = {
    "!": "write `not x`",
    "\\": "a backslash continues a line only at its very end",
    "@": "Starlark has no decorators",
    "?": "write `a if condition else b`",
    "`": "strings are written \"...\" or '...'",
    "\u2018": "a typographic quote; write ' or \"",
    "\u2019": "a typographic quote; write ' or \"",
    "\u201c": "a typographic quote; write ' or \"",
    "\u201d": "a typographic quote; write ' or \"",
    "\u00a0": "this is a no-break space; write an ordinary space",
}


def scan(source: str, filename: str) -> list[Token]:
    """
    Return the tokens of *source*; the last is "end of file".

    Raises:
        ScriptSyntaxError: The text is too long, or holds what no text file holds.
    """
    fault = _fault(source)
    if fault is not None:
        raise ScriptSyntaxError(filename, [fault])
    scanner = _Scanner(_with_plain_ends(source))
    scanner.run()
    if len(scanner.tokens) > TOKENS_MAX:
        message = f"script too long: more than {TOKENS_MAX} tokens"
        pos = scanner.tokens[TOKENS_MAX].pos
        raise ScriptSyntaxError(filename, [Diagnostic("error", "LIMIT", message, pos)])
    return scanner.tokens


def _fault(source: str) -> Diagnostic | None:
    """Return why *source* is not a text to be scanned at all."""
    if len(source) > SOURCE_BYTES_MAX or _utf8_length(source) > SOURCE_BYTES_MAX:
        message = f"script too long: more than {SOURCE_BYTES_MAX} bytes"
        return Diagnostic("error", "LIMIT", message, Pos(1, 1))
    if source.startswith("\ufeff"):
        message = "script begins with a byte order mark (U+FEFF)"
        hint = "save the file as UTF-8 without BOM"
        return Diagnostic("error", "SYNTAX", message, Pos(1, 1), hint)
    bad = re.search("[\0\ud800-\udfff]", source)
    if bad is None:
        return None
    what = "a NUL character" if bad[0] == "\0" else "a lone surrogate"
    message = f"script holds {what} (U+{ord(bad[0]):04X})"
    return Diagnostic("error", "SYNTAX", message, _end_of(source[: bad.start()]))


def _utf8_length(source: str) -> int:
    return len(source.encode("utf-8", "surrogatepass"))


def _with_plain_ends(text: str) -> str:
    """Return *text* with every kind of line end written as one newline."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _end_of(text: str) -> Pos:
    """Return the position right after *text*, which begins a script."""
    lines = _with_plain_ends(text).split("\n")
    return Pos(len(lines), len(lines[-1]) + 1)


class _Scanner:
    """One walk over a text; `at` is where it stands."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.at = 0
        self.line = 1
        self.line_start = 0
        self.depth = 0
        self.indents = [0]
        self.tokens: list[Token] = []

    def run(self) -> None:
        """Fill `tokens`."""
        # Looked up once: this loop runs for every token of every script.
        rules = {
            "newline": self._newline,
            "string": self._string,
            "name": self._name,
            "int": self._int,
            "float": self._float,
            "open": self._open,
            "close": self._close,
            "operator": self._operator,
        }
        match_at, source, end = _TOKEN.match, self.source, len(self.source)
        self._indentation()
        while self.at < end and len(self.tokens) <= TOKENS_MAX:
            match = match_at(source, self.at)
            if match is None:
                self._unmatched()
                continue
            rule = match.lastgroup or ""
            if rule == "space":
                self._space(match)
            else:
                rules[rule](match)
        self._end()

    def _pos(self) -> Pos:
        return Pos(self.line, self.at - self.line_start + 1)

    def _add(
        self, kind: str, value: int | float | str | bytes | Diagnostic | None = None
    ) -> None:
        self.tokens.append(Token(kind, value, self._pos()))

    def _error(self, message: str, hint: str = "", code: str = "SYNTAX") -> None:
        self._add("error", Diagnostic("error", code, message, self._pos(), hint))

    def _advance(self, to: int) -> None:
        """Move to *to*, counting the lines that are passed."""
        lines = self.source.count("\n", self.at, to)
        if lines:
            self.line += lines
            self.line_start = self.source.rfind("\n", self.at, to) + 1
        self.at = to

    # Layout

    def _space(self, match: re.Match[str]) -> None:
        self._advance(match.end())

    def _newline(self, match: re.Match[str]) -> None:
        if self.depth:
            self._advance(match.end())
            return
        if self.tokens and self.tokens[-1].kind != "newline":
            self._add("newline")
        self._advance(match.end())
        self._indentation()

    def _indentation(self) -> None:
        """Compare the first line that is neither blank nor a comment with the last."""
        while True:
            match = _INDENTATION.match(self.source, self.at)
            assert match is not None
            following = self.source[match.end() : match.end() + 1]
            if following == "#":
                line_end = self.source.find("\n", match.end())
                self._advance(len(self.source) if line_end < 0 else line_end + 1)
            elif following == "\n":
                self._advance(match.end() + 1)
            else:
                break
            if self.at == len(self.source):
                return
        self.at = match.end()
        if following:
            self._indent_to(_width(match[0]), match[0])

    def _indent_to(self, width: int, text: str) -> None:
        if width > self.indents[-1]:
            self.indents.append(width)
            self._add("indent")
            if len(self.indents) == INDENTS_MAX + 2:
                self._give_up("script too deeply nested", "LIMIT")
            return
        while width < self.indents[-1]:
            self.indents.pop()
            self._add("outdent")
        if width != self.indents[-1]:
            hint = "line it up with the block it belongs to"
            if "\t" in text or "\n\t" in self.source:
                hint += f"; a tab counts up to the next multiple of {_TAB} columns"
            self._give_up(
                "unindent does not match any outer indentation level", hint=hint
            )

    def _give_up(self, message: str, code: str = "SYNTAX", hint: str = "") -> None:
        """Report a fault after which no later finding could be trusted."""
        self._error(message, hint, code)
        self.at = len(self.source)
        self.indents = [0]

    def _end(self) -> None:
        if not self.depth and len(self.indents) > 1:
            if self.tokens[-1].kind != "newline":
                self._add("newline")
            for _ in self.indents[1:]:
                self._add("outdent")
        self._add("end of file")

    # Tokens

    def _name(self, match: re.Match[str]) -> None:
        end = match.end()
        if end < len(self.source) and self.source[end] > "\x7f":
            end = self._end_of_word(end)
        self._word(self.source[self.at : end])

    def _word(self, word: str) -> None:
        if word in KEYWORDS or word in RESERVED:
            self._add(word)
        else:
            self._add("identifier", word)
        self.at += len(word)

    def _end_of_word(self, at: int) -> int:
        """Return where the word at *at* ends; its letters may be any script's."""
        # Not part of the pattern: a word ends at the first character that is none of
        # its own, and only Unicode's tables know those.
        while at < len(self.source) and _is_of_word(self.source[at]):
            at += 1
        return at

    def _int(self, match: re.Match[str]) -> None:
        if self.source.startswith("_", match.end()):
            self._error("invalid int literal", "write numbers without underscores")
            self.at = match.end()
            return
        try:
            self._add("int literal", int_value(match[0]))
        except LiteralError as error:
            self._literal_error(error)
        self.at = match.end()

    def _float(self, match: re.Match[str]) -> None:
        try:
            self._add("float literal", float_value(match[0]))
        except LiteralError as error:
            self._literal_error(error)
        self.at = match.end()

    def _literal_error(self, error: LiteralError) -> None:
        column = self.at - self.line_start + 1
        line, fault_at = self.line, self.at + error.offset
        breaks = self.source.count("\n", self.at, fault_at)
        if breaks:
            line += breaks
            column = fault_at - self.source.rfind("\n", self.at, fault_at)
        else:
            column += error.offset
        pos = Pos(line, column)
        self.tokens.append(Token("error", error.at(pos), self._pos()))

    def _string(self, match: re.Match[str]) -> None:
        prefix = match[0].rstrip("'\"")
        quotes = match[0][len(prefix) :]
        rest = _STRING_REST[quotes].match(self.source, match.end())
        if rest is None:
            self._endless_string(quotes, match.end())
            return
        body = rest[0][: -len(quotes)]
        try:
            if "b" in prefix:
                raw = "r" in prefix
                self._add("bytes literal", bytes_value(body, len(match[0]), raw=raw))
            elif prefix:
                self._add("string literal", body)
            else:
                self._add("string literal", string_value(body, len(match[0])))
        except LiteralError as error:
            self._literal_error(error)
        self._advance(rest.end())

    def _endless_string(self, quotes: str, after: int) -> None:
        line_end = self.source.find("\n", after)
        if len(quotes) == 3 or line_end < 0:
            self._error("unexpected EOF in string", f"close the string with {quotes}")
            self._advance(len(self.source))
            return
        hint = f"close the string with {quotes}, or use {quotes * 3} for several lines"
        self._error("unexpected newline in string", hint)
        self._advance(line_end)

    def _open(self, match: re.Match[str]) -> None:
        self.depth += 1
        if self.depth > BRACKETS_MAX:
            self._give_up("script too deeply nested", "LIMIT")
            return
        self._operator(match)

    def _close(self, match: re.Match[str]) -> None:
        if self.depth == 0:
            self._error(f"unexpected '{match[0]}'")
            self.at = match.end()
            return
        self.depth -= 1
        self._operator(match)

    def _operator(self, match: re.Match[str]) -> None:
        self._add(match[0])
        self.at = match.end()

    def _unmatched(self) -> None:
        """Read a word that begins with a letter beyond ASCII, or refuse a character."""
        character = self.source[self.at]
        if character.isalpha():
            self._word(self.source[self.at : self._end_of_word(self.at)])
            return
        if character == "\\":
            message = "stray backslash"
        elif character.isprintable():
            message = f"unexpected input character '{character}'"
        else:
            message = f"unexpected input character U+{ord(character):04X}"
        self._error(message, _STRAY.get(character, ""))
        self.at += 1


def _width(indentation: str) -> int:
    return len(indentation.expandtabs(_TAB))


def _is_of_word(character: str) -> bool:
    return character.isalpha() or character == "_" or "0" <= character <= "9"
