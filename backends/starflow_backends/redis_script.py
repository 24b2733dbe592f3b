"""Scripts that Redis carries out, each as one atomic step."""

import hashlib
from pathlib import Path


class Script:
    """A file of Lua beside this one, called by its hash."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.text = Path(__file__).with_name(f"redis_{name}.lua").read_bytes()
        # How Redis names scripts; nothing is kept secret by it.
        digest = hashlib.sha1(self.text, usedforsecurity=False)
        self.sha = digest.hexdigest().encode()

    def call(self, keys: list[bytes], arguments: list[bytes]) -> list[bytes]:
        """Return the command that carries it out."""
        return [b"EVALSHA", self.sha, b"%d" % len(keys), *keys, *arguments]


APPEND = Script("append")
LOAD = Script("load")
READ = Script("read")
RUNS = Script("runs")
TIMERS = Script("timers")
CLAIM = Script("claim")
RENEW = Script("renew")
CLEAR = Script("clear")
INIT = Script("init")
STORE = Script("store")
STATES = Script("states")
MEMBERS = Script("members")
MARK = Script("mark")
PERMITS = Script("permits")
QUEUE = Script("queue")
COUNT = Script("count")
FIND = Script("find")
DELETE = Script("delete")
ALL = tuple(each for each in tuple(globals().values()) if isinstance(each, Script))
