"""Figures: what was measured, over all repetitions, as a table or as JSON."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """One thing that is measured, and what it should be."""

    name: str
    unit: str
    # The value that it should reach; None: there is none.
    budget: float | None = None
    # Whether more is better, and the budget a lower bound.
    is_rate: bool = False

    def meets_budget(self, value: float) -> bool:
        """Whether *value* is as good as it should be."""
        if self.budget is None:
            return True
        return value >= self.budget if self.is_rate else value <= self.budget


@dataclass
class Report:
    """The values of one workload's figures, one for each repetition."""

    workload: str
    words: str
    settings: Mapping[str, Any]
    figures: Sequence[Figure]
    values: dict[str, list[float]] = field(default_factory=dict)

    def add(self, measured: Mapping[str, float]) -> None:
        """Take the values of one repetition."""
        for name, value in measured.items():
            self.values.setdefault(name, []).append(value)

    def table(self) -> str:
        """Return it for a person."""
        settings = ", ".join(f"{name} {value}" for name, value in self.settings.items())
        lines = [f"{self.workload}: {self.words}", f"    {settings}"]
        lines += [
            self._line(figure, self.values[figure.name])
            for figure in self.figures
            if figure.name in self.values
        ]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return it for a program."""
        return {
            "workload": self.workload,
            "settings": dict(self.settings),
            "figures": {
                figure.name: {
                    "unit": figure.unit,
                    "median": statistics.median(self.values[figure.name]),
                    "values": self.values[figure.name],
                    "budget": figure.budget,
                }
                for figure in self.figures
                if figure.name in self.values
            },
        }

    def _line(self, figure: Figure, values: Sequence[float]) -> str:
        median = statistics.median(values)
        spread = f"({short(min(values))} to {short(max(values))})"
        line = f"    {figure.name:<34} {short(median):>9} {figure.unit:<6}"
        if len(values) > 1:
            line += f" {spread:<22}"
        if figure.budget is not None:
            verdict = "reached" if figure.meets_budget(median) else "MISSED"
            line += f" budget {short(figure.budget)}: {verdict}"
        return line.rstrip()


def short(value: float) -> str:
    """Return *value* with three significant digits, and none behind a thousand."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{digits}f}"


def percentile(values: Iterable[float], percent: float) -> float:
    """
    Return the value that *percent* of *values* do not exceed.

    Raises:
        ValueError: There are no values.
    """
    ordered = sorted(values)
    if not ordered:
        raise ValueError("nothing was measured")
    rank = math.ceil(percent / 100 * len(ordered))
    return ordered[max(0, min(len(ordered), rank) - 1)]


def geometric_mean(values: Sequence[float]) -> float:
    """Return the mean of ratios."""
    return statistics.geometric_mean(values)
