"""What scripts print, on its way into the log of the service."""

import structlog

from starflow_service.runtime.live import LiveRun

log = structlog.get_logger()


def log_prints(run: LiveRun) -> None:
    """Log what the script printed, now that its reasons are stored."""
    for line in run.prints:
        place = f"{line.filename}:{line.pos.line}" if line.filename else ""
        log.info("script.print", run=run.key, line=line.text, place=place)
    run.prints.clear()
