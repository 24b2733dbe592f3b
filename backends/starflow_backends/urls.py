"""What may be shown of the URL of a store."""

import re


def shown_url(url: str) -> str:
    """Return *url* as it may be shown to people: without a password."""
    url = re.sub(r"(password=)[^&]*", r"\1***", url)
    match = re.fullmatch(r"(?s)([^:]*://)([^:/?#]*).*@(.*)", url)
    return f"{match[1]}{match[2]}:***@{match[3]}" if match else url
