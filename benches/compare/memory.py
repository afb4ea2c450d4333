"""Goal 3: peak memory of runs that call for every row, at ten million rows and at 100 000."""

import os
import subprocess
from pathlib import Path

from compare import inputs, servers
from compare.dingmap import delete_state, measure_new, new_state, resolve
from compare.figures import Figure, at_most, compare, comparison_table, format_number, single
from compare.process import Child, Usage, peak_note, shell_line
from compare.results import Section
from compare.servers import Endpoint
from compare.settings import Settings


def measure(settings: Settings) -> list[Section]:
    few, many = settings.rows(100_000), settings.rows(10_000_000)
    rows: list[list[str]] = []
    with servers.nginx(settings, None) as server:
        endpoint = server.http
        for label, table_of, run in [
            ("all distinct", inputs.distinct, measure_new),
            ("30 % repeats", _with_repeats, measure_new),
            ("all distinct, `-o -`", inputs.distinct, _measure_piped),
        ]:
            small_table, large_table = table_of(settings, few), table_of(settings, many)
            small = _peak([run(settings, small_table, endpoint) for _ in range(settings.runs)])
            large = _peak([run(settings, large_table, endpoint) for _ in range(settings.long_runs)])
            label = f"{format_number(many)} rows, {label}"
            rows.append(single(label, large, at_most(64, "MiB")))
            peer = f"dingmap at {format_number(few)} rows"
            rows.append(compare(label, large, peer, small, at_most(1.2)))
        table = inputs.distinct(settings, many)
        command = resolve(settings, table, endpoint, new_state(settings))
    notes = [
        "Peak resident memory. nginx replies at once over plain HTTP; 64 workers, unlimited rate, "
        f"state file on disk. Median of {settings.runs} runs at {format_number(few)} rows and of "
        f"{settings.long_runs} at {format_number(many)}. {peak_note()}"
    ]
    return [Section("memory", "Memory", comparison_table(rows), notes, [shell_line(command)])]


def _with_repeats(settings: Settings, rows: int) -> Path:
    return inputs.repeated(settings, rows, 30)


def _measure_piped(settings: Settings, table: Path, endpoint: Endpoint) -> Usage:
    """A run that writes to a pipe."""
    state = new_state(settings)
    command = resolve(settings, table, endpoint, state, output="-")
    os.sync()
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as reader:
        pipe = reader.stdin
        assert pipe is not None  # because of `stdin=PIPE`
        usage = Child(command, None, pipe.fileno()).wait()
        pipe.close()
    delete_state(state)
    return usage


def _peak(runs: list[Usage]) -> Figure:
    return Figure([usage.peak for usage in runs], "MiB")
