"""How fast it is: five workloads against real processes, and three parts by themselves.

`python -m benchmarks` runs them all, `python -m benchmarks w1 --help` tells the rest.
Nothing here decides whether a build is good: machines differ, and a figure is for a
person to judge.
"""
