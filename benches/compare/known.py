"""Owns goal 2, rows whose answers are all in the state: how fast and in how much memory beside a join of two tables."""

from compare import inputs, peers
from compare.dingmap import KNOWN_ENDPOINT, known_state, resolve
from compare.figures import Figure, at_least, at_most, compared, comparison, spelt, told
from compare.process import Spent, blind_spot, shown
from compare.process import measure as measure_run
from compare.results import Section
from compare.setting import Setting

PEERS = ("xan", "xsv")
# The state of ten million is made once and used for as long as it is there.
ANY_AGE = "3650d"


def measure(setting: Setting) -> list[Section]:
    one, ten = setting.rows(1_000_000), setting.rows(10_000_000)
    versions = peers.versions(setting)
    answers = inputs.answers(setting, one)
    table = inputs.distinct(setting, one)
    words, more_words = _words(setting, one), _words(setting, ten)
    joins = {peer: peers.join_words(setting, peer, table, answers) for peer in PEERS}
    ours: list[Spent] = []
    more: list[Spent] = []
    theirs: dict[str, list[Spent]] = {peer: [] for peer in PEERS}
    for _ in range(setting.runs):
        ours.append(measure_run(words))
        for peer, join in joins.items():
            theirs[peer].append(measure_run(join))
        more.append(measure_run(more_words))
    rate, peak = _rate(ours, one), _peak(ours)
    rates = {peer: _rate(runs, one) for peer, runs in theirs.items()}
    faster = max(PEERS, key=lambda peer: rates[peer].median)
    slower = min(PEERS, key=lambda peer: rates[peer].median)
    of_ten, of_one = f"rows a second, {spelt(ten)} rows", f"dingmap at {spelt(one)} rows"
    rows = [
        compared(f"rows a second, {spelt(one)} rows", rate, f"{faster} join", rates[faster], at_least(1)),
        compared(f"peak memory, {spelt(one)} rows", peak, f"{faster} join", _peak(theirs[faster]), at_most(1 / 8)),
        compared(of_ten, _rate(more, ten), of_one, rate, at_least(0.4)),
        compared(f"rows a second, {spelt(one)} rows", rate, f"{slower} join", rates[slower]),
        compared(f"peak memory, {spelt(one)} rows", peak, f"{slower} join", _peak(theirs[slower])),
        compared(f"peak memory, {spelt(ten)} rows", _peak(more), of_one, peak),
    ]
    notes = [
        "All numbers are distinct, in no order, and in the state; the joins read the same answers as a table in "
        f"another order and keep every row in its place. Nothing is pinned. {told(setting.runs)} {blind_spot()}",
        f"xan {versions['xan']}, xsv {versions['xsv']}.",
    ]
    return [Section("known", "Known answers", comparison(rows), notes, [shown(words), *map(shown, joins.values())])]


def _words(setting: Setting, rows: int) -> list[str]:
    table = inputs.distinct(setting, rows)
    return resolve(setting, table, KNOWN_ENDPOINT, known_state(setting, table, rows), max_age=ANY_AGE)


def _rate(runs: list[Spent], rows: int) -> Figure:
    return Figure([rows / spent.wall for spent in runs], "/s")


def _peak(runs: list[Spent]) -> Figure:
    return Figure([spent.peak for spent in runs], "MiB")
