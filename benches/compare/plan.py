"""Goal 5: `plan` for ten million rows, compared with the statistics of one column."""

from compare import inputs, peers
from compare.figures import (
    Figure,
    at_most,
    compare,
    comparison_table,
    format_number,
    runs_note,
    single,
)
from compare.process import Usage, peak_note, shell_line
from compare.process import measure as measure_run
from compare.results import Section
from compare.settings import Settings

PEERS = ("xan", "xsv")


def measure(settings: Settings) -> list[Section]:
    many = settings.rows(10_000_000)
    rows: list[list[str]] = []
    lines: list[str] = []
    for order, table in [
        ("random order", inputs.distinct(settings, many)),
        ("sorted", inputs.ordered(settings, many)),
    ]:
        commands = {"dingmap": [str(settings.dingmap), "plan", str(table), "--no-state"]}
        commands |= {peer: peers.stats_command(settings, peer, table) for peer in PEERS}
        usage: dict[str, list[Usage]] = {name: [] for name in commands}
        for _ in range(settings.runs):
            for name, command in commands.items():
                usage[name].append(measure_run(command))
        wall = {name: Figure([run.wall for run in runs], "s") for name, runs in usage.items()}
        peak = {name: Figure([run.peak for run in runs], "MiB") for name, runs in usage.items()}
        fast, slow = sorted(PEERS, key=lambda peer: wall[peer].median)
        time, memory = f"time, {order}", f"peak memory, {order}"
        rows += [
            compare(time, wall["dingmap"], f"{fast} stats", wall[fast], at_most(1)),
            single(memory, peak["dingmap"], at_most(64, "MiB")),
            compare(time, wall["dingmap"], f"{slow} stats", wall[slow]),
        ]
        rows += [compare(memory, peak["dingmap"], f"{peer} stats", peak[peer]) for peer in PEERS]
        lines += map(shell_line, commands.values())
    notes = [
        f"{format_number(many)} rows, all numbers distinct. Processes are not pinned to cores. "
        f"{runs_note(settings.runs)} {peak_note()}",
        peers.versions_note(settings, *PEERS),
    ]
    return [Section("plan", "Plan", comparison_table(rows), notes, lines)]
