"""`starflow worker-check`: is a program a worker that survives everything?

The command is started as a worker of a server of its own, with a proxy between the two.
The proxy records all that they say to each other, and loses what a row of the table
wants to be lost. Each row asks one thing of the worker: most look at how the runs came
out, some at what the worker said.

    rows_*.py      what is asked, a function per row
    table.py       the rows, in their order, and what to do about those that fail
    check.py       plays them and judges
    scene.py       server, proxy, worker and client of one check
    proxy.py       records and loses
    stream_tap.py  notes what a stream carries as if it came in requests
    record.py      what was said
"""

from starflow.workercheck.check import Verdict, check
from starflow.workercheck.table import ROWS, Row, rows_over

__all__ = ["ROWS", "Row", "Verdict", "check", "rows_over"]
