"""Owns goal 7, how the cost of a row grows: with rows, workers, the share of repeats and the server's latency. Each is
a table and a curve."""

import json
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import log2
from pathlib import Path

from compare import inputs, servers
from compare.dingmap import WORKERS, fresh_state, measure_fresh, resolve
from compare.figures import NOTHING, Figure, spelt, table
from compare.process import Spent, shown
from compare.results import Section
from compare.servers import AFTER_20_MS, AFTER_200_MS, AT_ONCE
from compare.setting import Setting

MANY_WORKERS = 256


@dataclass(frozen=True)
class Case:
    """What is measured at a point of a curve, and how often."""

    at: int
    table: Path
    rows: int
    endpoint: str
    workers: int
    runs: int


@dataclass(frozen=True)
class Limit:
    """From which step on a row may cost how often what it costs there, and how that is told."""

    base: int
    allowed: Callable[[int, int], float]
    told: str


def _n_log_n(base: int) -> Limit:
    """A row may cost what n log n gives it. A step counts double, since log 1 is 0."""
    told = f"From {spelt(base)} on a row may cost what n log n allows; what is less shows the start, or waits for replies."
    return Limit(base, lambda first, at: log2(2 * at) / log2(2 * first), told)


NEVER_MORE = Limit(0, lambda _first, _at: 1, "A repeat may cost no more than a call.")


@dataclass(frozen=True)
class Curve:
    """A curve: what it is called, along what it goes, and the limit, if there is one."""

    name: str
    title: str
    along: str
    cases: Sequence[Case]
    limit: Limit | None


@dataclass(frozen=True)
class Step:
    """A point of a curve, measured: where it is, and what a row costs there."""

    at: int
    cpu: Figure
    wall: Figure


def measure(setting: Setting) -> Iterator[Section]:
    with servers.nginx(setting, setting.server_core) as address:
        for curve in _curves(setting, address):
            yield _section(setting, curve)


def _curves(setting: Setting, address: str) -> list[Curve]:
    hundred_thousand, few = setting.rows(100_000), setting.rows(30_000)
    fast, runs = address + AT_ONCE, setting.runs

    def by_rows(rows: int) -> Case:
        often = setting.long_runs if rows == setting.rows(10_000_000) else runs
        return Case(rows, inputs.distinct(setting, rows), rows, fast, WORKERS, often)

    def by_workers(workers: int) -> Case:
        return Case(workers, inputs.distinct(setting, hundred_thousand), hundred_thousand, fast, workers, runs)

    def by_repeats(percent: int) -> Case:
        repeated = inputs.repeated(setting, hundred_thousand, percent)
        return Case(percent, repeated, hundred_thousand, fast, WORKERS, runs)

    def by_latency(latency: int, path: str) -> Case:
        return Case(latency, inputs.distinct(setting, few), few, address + path, MANY_WORKERS, runs)

    sizes = map(setting.rows, (10_000, 100_000, 1_000_000, 10_000_000))
    latencies = {0: AT_ONCE, 20: AFTER_20_MS, 200: AFTER_200_MS}
    return [
        Curve("rows", "with rows", "rows", [by_rows(rows) for rows in sizes], _n_log_n(hundred_thousand)),
        Curve("workers", "with workers", "workers", [by_workers(n) for n in (1, 4, 16, 64, 256, 512)], _n_log_n(WORKERS)),
        Curve("repeats", "with repeats", "% repeats", [by_repeats(n) for n in (0, 50, 90, 99)], NEVER_MORE),
        Curve("latency", "with latency", "ms of latency", [by_latency(*one) for one in latencies.items()], None),
    ]


def _section(setting: Setting, curve: Curve) -> Section:
    steps = _measured(setting, curve.cases)
    picture = f"growth-{curve.name}.svg"
    _draw(setting, setting.page.with_name(picture), curve.along, steps)
    base = next((step for step in steps if curve.limit is not None and step.at == curve.limit.base), steps[0])
    of = f"÷ that at {spelt(base.at)}"
    header = [curve.along, "CPU a row", of, "time a row", of, "allowed", "reached"]
    rows = [_row(curve, base, step) for step in steps]
    case = curve.cases[-1]
    last = resolve(setting, case.table, case.endpoint, fresh_state(setting), workers=case.workers)
    notes = [f"![Cost of a row against {curve.along}]({picture})", _how(curve)]
    return Section(f"growth-{curve.name}", f"Growth {curve.title}", table(header, rows), notes, [shown(last)])


def _row(curve: Curve, base: Step, step: Step) -> list[str]:
    cpu, wall = step.cpu.median / base.cpu.median, step.wall.median / base.wall.median
    cells = [spelt(step.at), str(step.cpu), spelt(cpu), str(step.wall), spelt(wall)]
    if curve.limit is None or step.at < base.at:
        return [*cells, NOTHING, NOTHING]
    allowed = curve.limit.allowed(base.at, step.at)
    return [*cells, spelt(allowed), "yes" if max(cpu, wall) <= allowed else "**no**"]


def _how(curve: Curve) -> str:
    """What is the same at each step, and what is not."""
    same = {
        "rows": {case.rows for case in curve.cases},
        "workers": {case.workers for case in curve.cases},
    }
    fixed = [f"{spelt(values.pop())} {name}" for name, values in same.items() if len(values) == 1]
    runs = ", ".join(str(case.runs) for case in curve.cases)
    how = (
        f"{', '.join(fixed)}; nginx on one core and dingmap on another, a new state file each run. Runs for each line: "
        f"{runs}; the median counts."
    )
    return how if curve.limit is None else f"{how} {curve.limit.told}"


def _measured(setting: Setting, cases: Sequence[Case]) -> list[Step]:
    """The steps take turns, so that a machine that slows down does so for all of them."""
    spent: list[list[Spent]] = [[] for _ in cases]
    for run in range(max(case.runs for case in cases)):
        for case, so_far in zip(cases, spent, strict=True):
            if run < case.runs:
                core = setting.client_core
                so_far.append(measure_fresh(setting, case.table, case.endpoint, core, case.workers))
    return [
        Step(
            case.at,
            Figure([one.cpu / case.rows * 1e6 for one in runs], "µs"),
            Figure([one.wall / case.rows * 1e6 for one in runs], "µs"),
        )
        for case, runs in zip(cases, spent, strict=True)
    ]


def _draw(setting: Setting, picture: Path, along: str, steps: Sequence[Step]) -> None:
    """Draws the curve into an SVG, by a process of its own."""
    lines = {
        "time": [list(step.wall.values) for step in steps],
        "CPU": [list(step.cpu.values) for step in steps],
    }
    data = {"picture": str(picture), "along": along, "at": [step.at for step in steps], "lines": lines}
    words = [setting.python, "-m", "compare.plots"]
    subprocess.run(words, input=json.dumps(data), text=True, check=True)
