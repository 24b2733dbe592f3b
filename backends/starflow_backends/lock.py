"""A claim on a file that ends with the process that made it."""

import contextlib
import fcntl
import os
from pathlib import Path

from starflow_backends.store import LockedError


class FileLock:
    """
    An exclusive claim on *path*, held through a file beside it.

    The kernel drops the claim when the process dies, however it dies, so nobody ever
    has to clean up after a crash.  The file stays: were it removed, a process that has
    just opened it would lock a file that the next one cannot see.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.with_name(f"{path.name}.lock")
        self._fd: int | None = None

    def acquire(self) -> None:
        """
        Take the claim.

        Raises:
            LockedError: Somebody else has it, perhaps this very process.
            OSError: The file cannot be made.
        """
        fd = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # Not `lockf`: its locks do not see each other within one process, and end
            # when any descriptor of the file is closed.
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(fd, 32).decode(errors="replace").strip()
            os.close(fd)
            raise LockedError(
                f"{self._path} is in use by process {owner or 'unknown'}"
                f" (lock file {self._file})"
            ) from None
        except BaseException:
            os.close(fd)
            raise
        self._fd = fd
        self._sign(fd)

    def release(self) -> None:
        """Give the claim up; without one this does nothing."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    @staticmethod
    def _sign(fd: int) -> None:
        # The name is a courtesy to whoever is refused; a full disk must not keep the
        # owner out of a store that it can still read.
        with contextlib.suppress(OSError):
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
