"""Every code that a finding about a script may have, and what it means."""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple, TypeAlias

Severity: TypeAlias = Literal["error", "warning"]


class Code(NamedTuple):
    """
    A kind of finding.

    An error makes the service refuse the script.  A warning is about something that
    surely fails or does nothing if it is reached.
    """

    severity: Severity
    meaning: str


CODES: Final[Mapping[str, Code]] = {
    # The text
    "SYNTAX": Code("error", "the text does not follow the grammar"),
    "NOT_STARLARK": Code("error", "another language has it, Starlark has not"),
    "LIMIT": Code("error", "the text is too long, or nests too deeply"),
    "TOO_COMPLEX": Code("error", "too many nested or too large parts to be compiled"),
    "MORE": Code("error", "there are more findings than are listed"),
    "MIXED_INDENTATION": Code(
        "warning", "tabs and spaces are mixed so that only the width of a tab decides"
    ),
    # Names
    "UNDEFINED_NAME": Code("error", "nobody defines the name"),
    "UNKNOWN_FUNCTION": Code("error", "no worker ever registered the function"),
    "BAD_LOAD": Code("error", "a load names what does not exist"),
    "REASSIGNED": Code("error", "a name is bound twice at the top level"),
    "RESERVED_NAME": Code("error", "a name of the language is used as a variable"),
    "UNBOUND_VARIABLE": Code(
        "warning", "a variable of a function is read before it is assigned"
    ),
    "SUSPICIOUS_NAME": Code(
        "warning", "a function of a worker is called almost like a variable"
    ),
    "UNUSED_FILE": Code("warning", "no file of the bundle loads this one"),
    "UNUSED_LOAD": Code("warning", "a loaded name is never used"),
    "UNUSED_VARIABLE": Code("warning", "a variable of a function is never read"),
    # Structure
    "NO_MAIN": Code("error", "there is no function main"),
    "MAIN_ARITY": Code("error", "main does not take (ctx, input)"),
    "BAD_SIGNATURE": Code("error", "parameters or arguments are in a wrong order"),
    "BAD_TARGET": Code("error", "what stands left of = cannot be assigned to"),
    "MISPLACED": Code("error", "a statement stands where it may not"),
    "RECURSION": Code("warning", "a function calls itself, which is not allowed"),
    "UNREACHABLE": Code("warning", "a statement is never executed"),
    # Values
    "BAD_ARGUMENTS": Code("warning", "a call does not fit the function it calls"),
    "BAD_FORMAT": Code("warning", "a format asks for what % or format cannot do"),
    "BAD_OPERANDS": Code("warning", "an operator cannot work on these types"),
    "BAD_REQUEST": Code(
        "warning", "a request contradicts the function's registered JSON Schema"
    ),
    "CONSTANT_COMPARISON": Code("warning", "a comparison gives always the same"),
    "DUPLICATE_KEY": Code("warning", "a dict is written with the same key twice"),
    "FROZEN_VALUE": Code("warning", "a function changes a value of the top level"),
    "LOOP_MUTATION": Code("warning", "a value is changed while it is looped over"),
    "MISSING_CTX": Code("warning", "a recorded call is not given ctx"),
    "NO_EFFECT": Code("warning", "a value is computed and dropped"),
    "NOT_CALLABLE": Code("warning", "something is called that is not a function"),
    "NOT_ITERABLE": Code("warning", "a value is looped over that has no elements"),
    "UNKNOWN_ATTRIBUTE": Code("warning", "a value or module has no such attribute"),
}
