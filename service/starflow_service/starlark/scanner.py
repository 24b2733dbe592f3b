"""Cuts the text of a script into tokens.

A fault does not stop the scanner.  Where it is plain what was meant, as with `1_000`,
the token is made all the same and the finding stands in `findings`.  Otherwise the
fault becomes a token of kind "error", at which the parser gives up the line.
"""

import re
from typing import Final, NamedTuple

from starflow_service.starlark.diagnostics import Diagnostic, ScriptSyntaxError
from starflow_service.starlark.foreign import foreign, format_hint
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
_QUOTES: Final = re.compile(r"'''|\"\"\"|'|\"")
_QUOTE: Final = frozenset("'\"")
_PREFIXES: Final = frozenset(
    ["f", "fr", "rf", "u", "b", "br", "rb", "r", "t", "tr", "rt"]
)
_UNDERSCORED: Final = re.compile(
    r"0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+|[0-9][0-9_]*"
)
# What other languages write right behind a number, and Starlark does not.
_SUFFIX: Final = re.compile(r"[jJlLn](?![A-Za-z0-9_])")

# Lines that begin a statement even where a bracket is open: nothing in brackets can.
_STATEMENT_LINE: Final = re.compile(
    r"""[ \t]*(?: def[ \t]+\w+[ \t]*\( | load[ \t]*\([ \t]*["'] | (?:
    return | pass | break | continue | while | class | import | from | try | except
    | finally | with | raise | del | global | nonlocal
    )\b (?! [ \t]* (?: [=,.)\]}] | :[ \t]*[^\s\#] )))""",
    re.VERBOSE,
)
_WORD_LINE: Final = re.compile(
    r"(?P<indent>[ \t]*)(?P<word>[A-Za-z_]\w*)(?P<rest>[^\n]*)"
)
_BLOCK_REST: Final = re.compile(r".*:[ \t]*(?:#.*)?$")
# Words with which an expression goes on.
_GOES_ON: Final = frozenset(["and", "or", "not", "in", "is", "if", "else", "for"])
_ENDS_OPERAND: Final = frozenset(
    [
        *("identifier", "int literal", "float literal", "string literal"),
        *("bytes literal", ")", "]", "}"),
    ]
)
_BEFORE_BLOCK: Final = _ENDS_OPERAND | {"else"}
_LINE_REST: Final = re.compile(r"[ \t]*(?:\n|#|//|$)")
_CLOSING: Final = {"(": ")", "[": "]", "{": "}"}
_OPENING: Final = {close: opening for opening, close in _CLOSING.items()}
_UNOPENED: Final = {"}": "blocks have no braces: they are lines indented alike"}
_TOP_LINE: Final = re.compile(r"(?m)^(?:def[ \t]+\w+[ \t]*\(|load[ \t]*\()")

# Characters that mean nothing to Starlark, but to the parser's findings.
_KNOWN: Final = frozenset("!@")
_STRAY: Final = {
    "\\": "a backslash continues a line only at its very end",
    "?": "write `a if condition else b`",
    "`": "strings are written \"...\" or '...'",
    "\u2018": "a typographic quote; write ' or \"",
    "\u2019": "a typographic quote; write ' or \"",
    "\u201c": "a typographic quote; write ' or \"",
    "\u201d": "a typographic quote; write ' or \"",
    "\u2013": "a typographic dash; write -",
    "\u2014": "a typographic dash; write -",
    "\u00a0": "this is a no-break space; write an ordinary space",
}


class Scan(NamedTuple):
    """The tokens of a text, "end of file" last, and what is wrong with them."""

    tokens: list[Token]
    findings: list[Diagnostic]


def scan(source: str, filename: str) -> Scan:
    """
    Cut *source* into tokens.

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
    return Scan(scanner.tokens, scanner.findings)


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
        # The brackets that are open, and the indentation of the blocks that are.
        self.open: list[Token] = []
        # Blocks in braces, of other languages, that are open.
        self.braces = 0
        self.is_mixed = False
        # Whether quotes within an f-string's braces are taken for its parts.
        self.may_nest = True
        self.indents = [0]
        self.indent_texts = [""]
        self.tokens: list[Token] = []
        self.findings: list[Diagnostic] = []

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

    def _find(self, message: str, hint: str = "") -> None:
        """Note a fault here that leaves no doubt about what was meant."""
        self.findings.append(Diagnostic("error", "SYNTAX", message, self._pos(), hint))

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
        if self.open:
            if not self._is_left_open(match.end()):
                self._advance(match.end())
                return
            self._add("error", not_closed(self.open[-1]))
            self.open.clear()
        if self.tokens and self.tokens[-1].kind != "newline":
            self._add("newline")
        self._advance(match.end())
        self._indentation()

    def _is_left_open(self, line_start: int) -> bool:
        """Tell whether a bracket was forgotten before the line at *line_start*."""
        if _STATEMENT_LINE.match(self.source, line_start):
            return True
        line = _WORD_LINE.match(self.source, line_start)
        if line is None or self.tokens[-1].kind not in _ENDS_OPERAND:
            return False
        # Two operands in a row: a comma is missing, or the bracket before a statement.
        if _width(line["indent"]) > self.indents[-1]:
            return False
        return line["word"] not in _GOES_ON or bool(_BLOCK_REST.match(line["rest"]))

    def _indentation(self) -> None:
        """Compare the first line that is neither blank nor a comment with the last."""
        while True:
            match = _INDENTATION.match(self.source, self.at)
            assert match is not None
            following = self.source[match.end() : match.end() + 1]
            if following == "#":
                self._skip_line(match.end())
            elif following == "\n":
                self._advance(match.end() + 1)
            elif following == "/" and self._is_foreign_comment(match.end()):
                self._skip_foreign_comment(match.end())
            else:
                break
            if self.at == len(self.source):
                return
        self.at = match.end()
        if following:
            self._indent_to(_width(match[0]), match[0])

    def _skip_line(self, at: int) -> None:
        line_end = self.source.find("\n", at)
        self._advance(len(self.source) if line_end < 0 else line_end + 1)

    def _is_foreign_comment(self, at: int) -> bool:
        return self.source.startswith(("//", "/*"), at)

    def _skip_foreign_comment(self, at: int) -> None:
        self._advance(at)
        self.findings.append(foreign("comment", self._pos()))
        if self.source.startswith("/*", at):
            end = self.source.find("*/", at)
            at = at if end < 0 else end
        self._skip_line(at)

    def _indent_to(self, width: int, text: str) -> None:
        if width > self.indents[-1]:
            self._check_mixture(text)
            self.indents.append(width)
            self.indent_texts.append(text)
            self._add("indent")
            if len(self.indents) == INDENTS_MAX + 2:
                self._give_up("script too deeply nested", "LIMIT")
            return
        while len(self.indents) > 1 and width <= self.indents[-2]:
            self.indents.pop()
            self.indent_texts.pop()
            self._add("outdent")
        if width < self.indents[-1]:
            # Taken as a line of the block that it is nearest to.
            hint = "line it up with the block it belongs to"
            if "\t" in text or "\n\t" in self.source:
                hint += f"; a tab counts up to the next multiple of {_TAB} columns"
            message = "unindent does not match any outer indentation level"
            self._find(message, hint)
            self.indents[-1] = width
            self.indent_texts[-1] = text
        elif text != self.indent_texts[-1]:
            self._check_mixture(text)

    def _check_mixture(self, text: str) -> None:
        """Warn if only the width of a tab decides which block a line belongs to."""
        if text.startswith(self.indent_texts[-1]) and text != self.indent_texts[-1]:
            return
        if self.is_mixed:
            return
        self.is_mixed = True
        message = "tabs and spaces are mixed in the indentation"
        hint = f"indent by spaces only: a tab counts as up to {_TAB} of them"
        self.findings.append(
            Diagnostic("warning", "MIXED_INDENTATION", message, self._pos(), hint)
        )

    def _give_up(self, message: str, code: str) -> None:
        """Report a fault after which no later finding could be trusted."""
        self._error(message, "", code)
        self.at = len(self.source)
        self.indents = [0]
        self.open.clear()

    def _end(self) -> None:
        if self.open:
            self._add("error", not_closed(self.open[-1]))
        if len(self.indents) > 1:
            if self.tokens[-1].kind != "newline":
                self._add("newline")
            for _ in self.indents[1:]:
                self._add("outdent")
        self._add("end of file")

    # Tokens

    def _name(self, match: re.Match[str]) -> None:
        word, end = match[0], match.end()
        following = self.source[end : end + 1]
        if following > "\x7f":
            word = self.source[self.at : self._end_of_word(end)]
        elif following in _QUOTE and word.lower() in _PREFIXES:
            self._foreign_string(word, end)
            return
        self._word(word)

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
        text, end = match[0], match.end()
        if self.source.startswith("_", end):
            long = _UNDERSCORED.match(self.source, self.at)
            assert long is not None, "it begins as an integer does"
            text, end = long[0].replace("_", ""), long.end()
            self._find("invalid int literal", f"write it without underscores: {text}")
        try:
            value = int_value(text)
        except LiteralError as error:
            self._literal_error(error)
            value = 0
        self._add("int literal", value)
        self.at = end
        self._number_suffix(text)

    def _float(self, match: re.Match[str]) -> None:
        try:
            self._add("float literal", float_value(match[0]))
        except LiteralError as error:
            # What follows may be the rest of a word: `2else` begins like 2e10.
            self._error(error.message)
        self.at = match.end()
        self._number_suffix(match[0])

    def _number_suffix(self, text: str) -> None:
        suffix = _SUFFIX.match(self.source, self.at)
        if suffix is None:
            return
        is_complex = suffix[0] in "jJ"
        key = "complex number" if is_complex else "long number"
        hint = "" if is_complex else f"write {text}: integers may be of any size"
        self.findings.append(foreign(key, self._pos(), hint=hint))
        self.at = suffix.end()

    def _literal_error(self, error: LiteralError) -> None:
        column = self.at - self.line_start + 1
        line, fault_at = self.line, self.at + error.offset
        breaks = self.source.count("\n", self.at, fault_at)
        if breaks:
            line += breaks
            column = fault_at - self.source.rfind("\n", self.at, fault_at)
        else:
            column += error.offset
        self.findings.append(error.at(Pos(line, column)))

    def _string(self, match: re.Match[str]) -> None:
        prefix = match[0].rstrip("'\"")
        self._text(prefix, match[0][len(prefix) :])

    def _foreign_string(self, prefix: str, quotes_at: int) -> None:
        """Read a string with a prefix that only Python knows."""
        quotes = _QUOTES.match(self.source, quotes_at)
        assert quotes is not None, "the caller saw one"
        plain = "".join(sorted(set(prefix.lower()) & {"b", "r"}, reverse=True))
        if not set(prefix.lower()) & {"f", "t"}:
            hint = f"write {plain}{quotes[0]}...{quotes[0]}"
            self.findings.append(foreign("string prefix", self._pos(), hint=hint))
            self._text(prefix, quotes[0], kind=plain)
            return
        end = None
        if self.may_nest:
            end = _end_of_template(self.source, quotes.end(), quotes[0])
            # A search that fails has read the rest of the line or of the text, and
            # others would as well.
            self.may_nest = end is not None
        body = self.source[quotes.end() : end or quotes.end()]
        hint = format_hint(body, quotes[0]) if end is not None else ""
        self.findings.append(foreign("f-string", self._pos(), hint=hint))
        if end is None:
            self._text(prefix, quotes[0], kind=plain)
            return
        self._add("string literal", body)
        self._advance(end + len(quotes[0]))

    def _text(self, prefix: str, quotes: str, *, kind: str | None = None) -> None:
        """Read a string whose *prefix* stands here; its meaning is *kind*."""
        kind = prefix if kind is None else kind
        start = self.at + len(prefix) + len(quotes)
        rest = _STRING_REST[quotes].match(self.source, start)
        if rest is None:
            self._endless_string(quotes, start)
            return
        body = rest[0][: -len(quotes)]
        value: str | bytes = b"" if "b" in kind else ""
        try:
            if "b" in kind:
                value = bytes_value(body, start - self.at, raw="r" in kind)
            else:
                value = body if kind else string_value(body, start - self.at)
        except LiteralError as error:
            self._literal_error(error)
        self._add("bytes literal" if "b" in kind else "string literal", value)
        self._advance(rest.end())

    def _endless_string(self, quotes: str, after: int) -> None:
        line_end = self.source.find("\n", after)
        if len(quotes) == 3 or line_end < 0:
            self._error("unexpected EOF in string", f"close the string with {quotes}")
            # What follows it is likely to be code again from the next definition on.
            following = _TOP_LINE.search(self.source, after)
            self._advance(following.start() - 1 if following else len(self.source))
            self.open.clear()
            return
        hint = f"close the string with {quotes}, or use {quotes * 3} for several lines"
        self._error("unexpected newline in string", hint)
        self._advance(line_end)
        # Whatever closes the brackets of this line is part of the string.
        self.open = [token for token in self.open if token.pos.line < self.line]

    def _open(self, match: re.Match[str]) -> None:
        if match[0] == "{" and self._begins_block():
            self.findings.append(foreign("brace", self._pos()))
            self.braces += 1
            self._add(":")
            self.at += 1
            return
        self._operator(match)
        self.open.append(self.tokens[-1])
        if len(self.open) > BRACKETS_MAX:
            self.at -= 1
            self._give_up("script too deeply nested", "LIMIT")

    def _begins_block(self) -> bool:
        """Tell whether a brace stands where no dict can, at the end of a line."""
        if self.open or not self.tokens or self.tokens[-1].kind not in _BEFORE_BLOCK:
            return False
        return _LINE_REST.match(self.source, self.at + 1) is not None

    def _close(self, match: re.Match[str]) -> None:
        if not self.open and self.braces and match[0] == "}":
            self.braces -= 1
            self.at = match.end()
            return
        if not self.open:
            self._find(f"unexpected '{match[0]}'", _UNOPENED.get(match[0], ""))
            self.at = match.end()
            return
        opening = _OPENING[match[0]]
        if any(token.kind == opening for token in self.open):
            if self.open[-1].kind != opening:
                self._add("error", not_closed(self.open[-1]))
            while self.open[-1].kind != opening:
                self.open.pop()
        self.open.pop()
        self._operator(match)

    def _operator(self, match: re.Match[str]) -> None:
        self._add(match[0])
        self.at = match.end()

    def _unmatched(self) -> None:
        """Read a word that begins with a letter beyond ASCII, or refuse a character."""
        character = self.source[self.at]
        if character in _KNOWN:
            self._add(character)
            self.at += 1
            return
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


def not_closed(opened: Token) -> Diagnostic:
    """Return the finding about a bracket that nothing closes."""
    message = f"'{opened.kind}' is never closed"
    hint = f"close it with '{_CLOSING[opened.kind]}'"
    return Diagnostic("error", "SYNTAX", message, opened.pos, hint)


def _end_of_template(source: str, at: int, quotes: str) -> int | None:
    """Return where the closing quotes of an f-string stand; its parts may have some."""
    depth = 0
    while at < len(source):
        if depth <= 0 and source.startswith(quotes, at):
            return at
        character = source[at]
        if character == "\n" and len(quotes) == 1:
            return None
        if source.startswith(("{{", "}}"), at) and depth == 0:
            at += 1
        elif character in "{}":
            depth += 1 if character == "{" else -1
        elif character == "\\":
            at += 1
        at += 1
    return None


def _width(indentation: str) -> int:
    return len(indentation.expandtabs(_TAB))


def _is_of_word(character: str) -> bool:
    return character.isalpha() or character == "_" or "0" <= character <= "9"
