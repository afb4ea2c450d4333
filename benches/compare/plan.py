"""Owns goal 5, a plan over ten million rows: how fast beside the statistics of one column, and in how much memory."""

from compare import inputs, peers
from compare.figures import Figure, alone, at_most, compared, comparison, spelt, told
from compare.process import Spent, blind_spot, shown
from compare.process import measure as measure_run
from compare.results import Section
from compare.setting import Setting

PEERS = ("xan", "xsv")


def measure(setting: Setting) -> list[Section]:
    many = setting.rows(10_000_000)
    rows: list[list[str]] = []
    commands: list[str] = []
    for order, table in [
        ("in no order", inputs.distinct(setting, many)),
        ("in order", inputs.ordered(setting, many)),
    ]:
        words = {"dingmap": [str(setting.dingmap), "plan", str(table), "--no-state"]}
        words |= {peer: peers.stats_words(setting, peer, table) for peer in PEERS}
        spent: dict[str, list[Spent]] = {name: [] for name in words}
        for _ in range(setting.runs):
            for name, line in words.items():
                spent[name].append(measure_run(line))
        wall = {name: Figure([one.wall for one in runs], "s") for name, runs in spent.items()}
        peak = {name: Figure([one.peak for one in runs], "MiB") for name, runs in spent.items()}
        faster, slower = sorted(PEERS, key=lambda peer: wall[peer].median)
        rows += [
            compared(f"time, {order}", wall["dingmap"], f"{faster} stats", wall[faster], at_most(1)),
            alone(f"peak memory, {order}", peak["dingmap"], at_most(64, "MiB")),
            compared(f"time, {order}", wall["dingmap"], f"{slower} stats", wall[slower]),
        ]
        rows += [compared(f"peak memory, {order}", peak["dingmap"], f"{peer} stats", peak[peer]) for peer in PEERS]
        commands += map(shown, words.values())
    versions = peers.versions(setting)
    notes = [
        f"{spelt(many)} rows, all numbers distinct. Nothing is pinned. {told(setting.runs)} {blind_spot()}",
        f"xan {versions['xan']}, xsv {versions['xsv']}.",
    ]
    return [Section("plan", "Plan", comparison(rows), notes, commands)]
