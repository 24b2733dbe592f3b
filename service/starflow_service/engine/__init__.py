"""The deterministic core: it decides, and never acts.

Rule 1: nothing in this package awaits, reads a clock, draws a random number, touches a
socket or logs.  What it wants done it returns as data; what happened comes back in as
an event.

Rule 2: the same log and the same script give the same next step, on every machine and
in every release that claims the same language version.

`tests/test_house.py` holds both rules against the imports of every module here.
"""
