"""The benchmarks play, and tell every figure that they promise."""

import json

import pytest

from benchmarks.__main__ import PARTS
from benchmarks.waiting import WAITING
from benchmarks.workloads import WORKLOADS
from tests.support.processes import Process, Stage

pytestmark = pytest.mark.system

QUICK = ("--seconds", "0.5", "--warm-up", "0.2", "--runs", "5")
# W3 and W4 wait for what a second of measuring has no time for.
PLAYED = [workload for workload in WORKLOADS if workload.name in ("w1", "w2", "w5")]
PLAYED += [workload for workload in WAITING if workload.name == "pollers"]
# Told only where there is a Redis.
OF_REDIS = {f"CPU per step, {who}" for who in ("redis", "server 2", "server 3")}


@pytest.mark.parametrize("workload", PLAYED, ids=lambda workload: workload.name)
async def test_a_workload_tells_its_figures(tmp_path, workload):
    with Stage(tmp_path) as stage:
        arguments = (workload.name, *QUICK, "--dir", str(tmp_path), "--json")
        played = stage.add(Process("bench", tmp_path, "benchmarks", *arguments))
        played.launch()
        assert await played.wait() == 0, played.output

        (report,) = json.loads(played.output)
        names = {figure.name for figure in workload.figures}
        assert names - OF_REDIS <= set(report["figures"])
        # Memory may shrink while five pollers come.
        assert all(
            each["median"] >= 0 or "KiB" in each["unit"]
            for each in report["figures"].values()
        )


@pytest.mark.parametrize("part", PARTS)
def test_a_part_tells_its_figures(part):
    report = PARTS[part](1)

    assert set(report.values) == {figure.name for figure in report.figures}
    assert report.figures[0].name in report.table()
