"""Who has a partition: a process, as others can read it, and see if it is dead."""

import hashlib
import os
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path

# What tells processes of one machine, since it was started, from those of others: a
# number of a process means something only there.
_MACHINE = (Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid"))


@dataclass(frozen=True, slots=True)
class Owner:
    """A process that has a partition, or had it."""

    host: str
    pid: str
    # Equal where the same pid is the same process; empty where nobody can tell.
    machine: str
    nonce: str

    @classmethod
    def here(cls) -> "Owner":
        """Return this process, in another life each time."""
        host = socket.gethostname().replace(" ", "_")
        return cls(host, str(os.getpid()), _machine(), secrets.token_hex(4))

    @classmethod
    def read(cls, text: str) -> "Owner":
        """Return the owner that *text* is of."""
        host, pid, machine, nonce, *_ = [*text.split(" "), "", "", "", ""]
        return cls(host, pid, machine, nonce)

    def __str__(self) -> str:
        return f"{self.host} {self.pid} {self.machine} {self.nonce}"

    @property
    def id(self) -> str:
        """Who it is, as other programs see it: another in each life."""
        return f"{self.host}-{self.pid}-{self.nonce}"

    @property
    def words(self) -> str:
        """Who it is, for people."""
        return f"process {self.pid} on {self.host}"

    def knows_dead(self, other: "Owner") -> bool:
        """Whether *other* was a process of this machine, and is not there any more."""
        if not self.machine or other.machine != self.machine or not other.pid.isdigit():
            return False
        try:
            os.kill(int(other.pid), 0)
        except ProcessLookupError:
            return True
        except OSError:
            # It is there, and somebody else's.
            pass
        return False


def _machine() -> str:
    boot_id, namespace = _MACHINE
    try:
        names = f"{boot_id.read_text()} {namespace.readlink()}"
    except OSError:
        # No Linux: then the lease has to end.
        return ""
    return hashlib.sha256(names.encode()).hexdigest()[:16]
