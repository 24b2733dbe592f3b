"""Says in the log that the service is away, and that it is back: once for each time."""

import logging

from starflow.errors import RequestError, Unavailable

_logger = logging.getLogger("starflow.worker")


class Outage:
    """
    What is known of the connection of a registered worker.

    Told by one thread: two connections to the same service are not lost and found at
    the same moment, and what is said of them would alternate.
    """

    def __init__(self) -> None:
        self._is_lost = False

    def failed(self, error: RequestError) -> None:
        """A request was not answered; warn, if that is news."""
        # With a reason it was the service that said so, and so there is a connection.
        if not isinstance(error, Unavailable) or error.reason or self._is_lost:
            return
        self._is_lost = True
        _logger.warning("the connection is lost: %s; trying again", error)

    def answered(self) -> None:
        """The service has answered."""
        if self._is_lost:
            self._is_lost = False
            _logger.info("connected again")
