"""Owns goal 3, peak memory of runs that ask for everything: how much at ten million rows, and how little more than at
100 000."""

import os
import subprocess
from pathlib import Path

from compare import inputs, servers
from compare.dingmap import forget, fresh_state, measure_fresh, resolve
from compare.figures import Figure, alone, at_most, compared, comparison, spelt
from compare.process import Child, Spent, blind_spot, shown
from compare.results import Section
from compare.setting import Setting


def measure(setting: Setting) -> list[Section]:
    few, many = setting.rows(100_000), setting.rows(10_000_000)
    rows: list[list[str]] = []
    with servers.nginx(setting, None) as address:
        for what, table_of, to_pipe in [
            ("all distinct", inputs.distinct, False),
            ("30 % repeats", _with_repeats, False),
            ("all distinct, `-o -`", inputs.distinct, True),
        ]:
            run = _measure_piped if to_pipe else measure_fresh
            small = _peak([run(setting, table_of(setting, few), address) for _ in range(setting.runs)])
            large = _peak([run(setting, table_of(setting, many), address) for _ in range(setting.long_runs)])
            rows.append(alone(f"{spelt(many)} rows, {what}", large, at_most(64, "MiB")))
            rows.append(
                compared(f"{spelt(many)} rows, {what}", large, f"dingmap at {spelt(few)} rows", small, at_most(1.2))
            )
        words = resolve(setting, inputs.distinct(setting, many), address, fresh_state(setting))
    notes = [
        f"Peak of the resident memory, nginx answers at once, 64 workers, unlimited rate, the state on disk. Runs: "
        f"{setting.runs} at {spelt(few)} rows, {setting.long_runs} at {spelt(many)}; the median counts. {blind_spot()}"
    ]
    return [Section("memory", "Memory", comparison(rows), notes, [shown(words)])]


def _with_repeats(setting: Setting, rows: int) -> Path:
    return inputs.repeated(setting, rows, 30)


def _measure_piped(setting: Setting, table: Path, address: str) -> Spent:
    """A run that writes to a pipe, from which another program reads."""
    state = fresh_state(setting)
    words = resolve(setting, table, address, state, output="-")
    os.sync()
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as reader:
        pipe = reader.stdin
        assert pipe is not None  # since it was asked for
        spent = Child(words, None, pipe.fileno()).wait()
        pipe.close()
    forget(state)
    return spent


def _peak(runs: list[Spent]) -> Figure:
    return Figure([spent.peak for spent in runs], "MiB")
