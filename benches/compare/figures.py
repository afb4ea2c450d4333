"""Medians, goals, and the tables that show them."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

NONE = "–"


@dataclass(frozen=True)
class Figure:
    """The values of all runs."""

    values: Sequence[float]
    unit: str

    @property
    def median(self) -> float:
        return median(self.values)

    def __str__(self) -> str:
        """The median and, if there are several values, the lowest and the highest."""
        middle = f"{format_number(self.median)} {self.unit}".rstrip()
        if len(self.values) == 1:
            return middle
        low, high = format_number(min(self.values)), format_number(max(self.values))
        return f"{middle} ({low} to {high})"


@dataclass(frozen=True)
class Goal:
    """A limit for a ratio or a figure."""

    sign: str
    limit: float
    unit: str = ""

    def __str__(self) -> str:
        return f"{self.sign} {self.limit:g} {self.unit}".rstrip()

    def verdict(self, value: float) -> str:
        reached = value <= self.limit if self.sign == "≤" else value >= self.limit
        return "yes" if reached else "**no**"


def at_most(limit: float, unit: str = "") -> Goal:
    return Goal("≤", limit, unit)


def at_least(limit: float, unit: str = "") -> Goal:
    return Goal("≥", limit, unit)


def compare(
    label: str, ours: Figure, peer: str, theirs: Figure, goal: Goal | None = None
) -> list[str]:
    """A row with two figures, their ratio and a goal for the ratio, if there is one."""
    ratio = ours.median / theirs.median
    return [label, str(ours), f"{peer}: {theirs}", format_number(ratio), *_verdict(ratio, goal)]


def single(label: str, ours: Figure, goal: Goal | None = None) -> list[str]:
    """A row without a peer: a figure and a goal for it, if there is one."""
    return [label, str(ours), NONE, NONE, *_verdict(ours.median, goal)]


def comparison_table(rows: Sequence[Sequence[str]]) -> str:
    """A table of rows from `compare` and `single`."""
    return table(["", "dingmap", "compared with", "ratio", "goal", "reached"], rows)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; all columns but the first are right-aligned."""
    rule = ["---"] + ["---:"] * (len(header) - 1)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [header, rule, *rows])


def runs_note(runs: int) -> str:
    """Explains the figures in a table."""
    return f"Median of {runs} runs, with the lowest and the highest in parentheses."


def format_number(value: float) -> str:
    """Three significant digits, or all digits before the decimal point."""
    if abs(value) >= 100:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.3g}"


def _verdict(value: float, goal: Goal | None) -> list[str]:
    return [NONE, NONE] if goal is None else [str(goal), goal.verdict(value)]
