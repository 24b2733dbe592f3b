"""Makes the worker known to the service, however long that takes."""

import logging
import threading

from starflow._connection import Backoff
from starflow._model import ServerInfo
from starflow._worker.link import Link, may_help_later
from starflow.errors import RequestError, ServiceFault

_logger = logging.getLogger("starflow.worker")


class Registration:
    """Registers as often as it is asked to, until it is stopped."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._stopping = threading.Event()

    def run(self) -> ServerInfo | None:
        """
        Register; return what the server is, or None if this was stopped before.

        Raises:
            RequestError: The service refuses the worker.
        """
        backoff = Backoff(most_seconds=0.5)
        is_first = True
        while not self._stopping.is_set():
            try:
                self._link.register()
                info = self._link.server_info()
            except RequestError as error:
                if not may_help_later(error) and not isinstance(error, ServiceFault):
                    raise
                if is_first:
                    _logger.warning("not registered yet: %s", error)
                is_first = False
                self._stopping.wait(backoff.next_seconds(error.retry_after_seconds))
            else:
                _logger.info("registered")
                return info
        return None

    def stop(self) -> None:
        """Register no more."""
        self._stopping.set()
