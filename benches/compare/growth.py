"""Goal 7: how the cost of a row grows with rows, workers, repeats and latency.

Each is a table and a chart.
"""

import json
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import log2
from pathlib import Path

from compare import inputs, servers
from compare.dingmap import WORKERS, measure_new, new_state, resolve
from compare.figures import NONE, Figure, format_number, table
from compare.process import Usage, shell_line
from compare.results import Section
from compare.servers import AFTER_20_MS, AFTER_200_MS, IMMEDIATE, Endpoint
from compare.settings import Settings

MANY_WORKERS = 256


@dataclass(frozen=True)
class Case:
    """A point of a chart: its x value, and what is measured how often."""

    x: int
    table: Path
    rows: int
    endpoint: Endpoint
    workers: int
    runs: int


@dataclass(frozen=True)
class Limit:
    """How much more a row may cost at `x` than at `base`: `allowed(base, x)`; `note` says why."""

    base: int
    allowed: Callable[[int, int], float]
    note: str


def _n_log_n(base: int) -> Limit:
    """n log n. The argument of the logarithm is doubled because log 1 is 0."""
    note = (
        f"From {format_number(base)} on, the cost of a row may grow as n log n allows; below, the "
        "start of the run or the wait for replies dominates."
    )
    return Limit(base, lambda first, x: log2(2 * x) / log2(2 * first), note)


NO_GROWTH = Limit(0, lambda _first, _x: 1, "A repeat may cost no more than a call.")


@dataclass(frozen=True)
class Series:
    """The cases of one chart, and their limit, if there is one."""

    name: str
    title: str
    axis: str
    cases: Sequence[Case]
    limit: Limit | None


@dataclass(frozen=True)
class Point:
    """A measured case: µs per row."""

    x: int
    cpu: Figure
    wall: Figure


def measure(settings: Settings) -> Iterator[Section]:
    with servers.nginx(settings, settings.server_core) as server:
        for series in _series(settings, server.http):
            yield _section(settings, series)


def _series(settings: Settings, endpoint: Endpoint) -> list[Series]:
    base, few = settings.rows(100_000), settings.rows(30_000)
    longest, runs = settings.rows(10_000_000), settings.runs

    def by_rows(rows: int) -> Case:
        count = settings.long_runs if rows == longest else runs
        return Case(rows, inputs.distinct(settings, rows), rows, endpoint, WORKERS, count)

    def by_workers(workers: int) -> Case:
        return Case(workers, inputs.distinct(settings, base), base, endpoint, workers, runs)

    def by_repeats(percent: int) -> Case:
        repeated = inputs.repeated(settings, base, percent)
        return Case(percent, repeated, base, endpoint, WORKERS, runs)

    def by_latency(latency: int, path: str) -> Case:
        slow = endpoint.under(path)
        return Case(latency, inputs.distinct(settings, few), few, slow, MANY_WORKERS, runs)

    rows = [by_rows(settings.rows(n)) for n in (10_000, 100_000, 1_000_000, 10_000_000)]
    workers = [by_workers(n) for n in (1, 4, 16, 64, 256, 512)]
    repeats = [by_repeats(n) for n in (0, 50, 90, 99)]
    paths = {0: IMMEDIATE, 20: AFTER_20_MS, 200: AFTER_200_MS}
    latencies = [by_latency(latency, path) for latency, path in paths.items()]
    return [
        Series("rows", "with rows", "rows", rows, _n_log_n(base)),
        Series("workers", "with workers", "workers", workers, _n_log_n(WORKERS)),
        Series("repeats", "with repeats", "% repeats", repeats, NO_GROWTH),
        Series("latency", "with latency", "ms of latency", latencies, None),
    ]


def _section(settings: Settings, series: Series) -> Section:
    points = _measure_cases(settings, series.cases)
    picture = f"growth-{series.name}.svg"
    _draw(settings, settings.page.with_name(picture), series.axis, points)
    limit = series.limit
    base = next((point for point in points if limit and point.x == limit.base), points[0])
    ratio = f"÷ that at {format_number(base.x)}"
    header = [series.axis, "CPU per row", ratio, "time per row", ratio, "allowed", "reached"]
    rows = [_row(series, base, point) for point in points]
    case = series.cases[-1]
    state = new_state(settings)
    last = resolve(settings, case.table, case.endpoint, state, workers=case.workers)
    notes = [f"![Cost of a row by {series.axis}]({picture})", _note(series)]
    title = f"Growth {series.title}"
    return Section(f"growth-{series.name}", title, table(header, rows), notes, [shell_line(last)])


def _row(series: Series, base: Point, point: Point) -> list[str]:
    cpu, wall = point.cpu.median / base.cpu.median, point.wall.median / base.wall.median
    figures = [str(point.cpu), format_number(cpu), str(point.wall), format_number(wall)]
    cells = [format_number(point.x), *figures]
    if series.limit is None or point.x < base.x:
        return [*cells, NONE, NONE]
    allowed = series.limit.allowed(base.x, point.x)
    return [*cells, format_number(allowed), "yes" if max(cpu, wall) <= allowed else "**no**"]


def _note(series: Series) -> str:
    """What all cases have in common, the numbers of runs, and the limit."""
    values = {
        "rows": {case.rows for case in series.cases},
        "workers": {case.workers for case in series.cases},
    }
    common = [f"{format_number(min(n))} {name}" for name, n in values.items() if len(n) == 1]
    runs = ", ".join(str(case.runs) for case in series.cases)
    note = (
        f"{', '.join(common)}; plain HTTP; nginx on one core and dingmap on another; a new state "
        f"file for each run. Runs for each line: {runs}; the figures are medians."
    )
    return note if series.limit is None else f"{note} {series.limit.note}"


def _measure_cases(settings: Settings, cases: Sequence[Case]) -> list[Point]:
    """The cases take turns, so that a slower phase of the machine affects all of them."""
    usage: list[list[Usage]] = [[] for _ in cases]
    for run in range(max(case.runs for case in cases)):
        for case, runs in zip(cases, usage, strict=True):
            if run < case.runs:
                core = settings.client_core
                runs.append(measure_new(settings, case.table, case.endpoint, core, case.workers))
    return [
        Point(
            case.x,
            Figure([run.cpu / case.rows * 1e6 for run in runs], "µs"),
            Figure([run.wall / case.rows * 1e6 for run in runs], "µs"),
        )
        for case, runs in zip(cases, usage, strict=True)
    ]


def _draw(settings: Settings, picture: Path, axis: str, points: Sequence[Point]) -> None:
    """Draws the chart as SVG, in another process."""
    lines = {
        "time": [list(point.wall.values) for point in points],
        "CPU": [list(point.cpu.values) for point in points],
    }
    x = [point.x for point in points]
    data = {"picture": str(picture), "axis": axis, "x": x, "lines": lines}
    command = [settings.python, "-m", "compare.plots"]
    subprocess.run(command, input=json.dumps(data), text=True, check=True)
