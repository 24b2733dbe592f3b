"""Words that only CPython's own messages, or the insides of ours, contain."""

import re

PHRASES = (
    r"object has no|object is not|has no attribute|not subscriptable|not callable"
    r"|positional-only|takes \d|takes from|takes no|must be str,"
    r"|unhashable type: '|can't multiply|unsupported operand|not supported between"
    r"|Traceback|<class|<bound|<frame|<code|<module '|0x[0-9a-f]{8}|internal|greenlet"
    r"|starflow_service|codegen|pysyntax|site-packages|NoneType object|\bstr\b object"
)
# A script may have these as its own names.
NAMES = (
    r"\b(?:Type|Value|Key|Index|Name|Attribute|Syntax|Overflow|Recursion|Runtime"
    r"|Unicode\w*|Assertion|Import|Memory|ZeroDivision|UnboundLocal|Eval|Limit)Error\b"
    r"|StopIteration|\.py\b|\bast\b|\bself\b|\w![\w.]|![a-z]\w*\b(?=\()"
)
PYTHON = re.compile(f"{PHRASES}|{NAMES}")
PYTHON_PHRASES = re.compile(PHRASES)
