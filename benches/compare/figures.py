"""Owns medians, goals, and the tables that show them."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

NOTHING = "–"


@dataclass(frozen=True)
class Figure:
    """The values of all runs, of which the median counts."""

    values: Sequence[float]
    unit: str

    @property
    def median(self) -> float:
        return median(self.values)

    def __str__(self) -> str:
        """The median and, of several, the lowest and the highest."""
        middle = f"{spelt(self.median)} {self.unit}".rstrip()
        if len(self.values) == 1:
            return middle
        return f"{middle} ({spelt(min(self.values))} to {spelt(max(self.values))})"


@dataclass(frozen=True)
class Goal:
    """A limit that a ratio, or a figure, keeps or not."""

    sign: str
    limit: float
    unit: str = ""

    def __str__(self) -> str:
        return f"{self.sign} {self.limit:g} {self.unit}".rstrip()

    def reached(self, value: float) -> str:
        kept = value <= self.limit if self.sign == "≤" else value >= self.limit
        return "yes" if kept else "**no**"


def at_most(limit: float, unit: str = "") -> Goal:
    return Goal("≤", limit, unit)


def at_least(limit: float, unit: str = "") -> Goal:
    return Goal("≥", limit, unit)


def compared(what: str, ours: Figure, peer: str, theirs: Figure, goal: Goal | None = None) -> list[str]:
    """A row of a comparison: two figures, their ratio and, unless it is there for context, the goal for the ratio."""
    ratio = ours.median / theirs.median
    return [what, str(ours), f"{peer}: {theirs}", spelt(ratio), *_judged(ratio, goal)]


def alone(what: str, ours: Figure, goal: Goal | None = None) -> list[str]:
    """A row of a comparison with no peer: a figure and the goal for it."""
    return [what, str(ours), NOTHING, NOTHING, *_judged(ours.median, goal)]


def comparison(rows: Sequence[Sequence[str]]) -> str:
    """A table of such rows."""
    return table(["", "dingmap", "compared with", "ratio", "goal", "reached"], rows)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown; all but the first column stand to the right."""
    rule = ["---"] + ["---:"] * (len(header) - 1)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [header, rule, *rows])


def told(runs: int) -> str:
    """How such figures come about."""
    return f"Runs: {runs}, of which the median counts; behind it stand the lowest and the highest."


def spelt(value: float) -> str:
    """Three digits that count, or all before the point."""
    if abs(value) >= 100:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.3g}"


def _judged(value: float, goal: Goal | None) -> list[str]:
    return [NOTHING, NOTHING] if goal is None else [str(goal), goal.reached(value)]
