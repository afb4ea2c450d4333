"""Goal 2: rows whose answers are all in the state file, compared with a join of two tables."""

from compare import inputs, peers
from compare.dingmap import KNOWN_ENDPOINT, known_state, resolve
from compare.figures import (
    Figure,
    at_least,
    at_most,
    compare,
    comparison_table,
    format_number,
    runs_note,
)
from compare.process import Usage, peak_note, shell_line
from compare.process import measure as measure_run
from compare.results import Section
from compare.settings import Settings

PEERS = ("xan", "xsv")
# The state file of ten million answers is made once and kept.
ANY_AGE = "3650d"


def measure(settings: Settings) -> list[Section]:
    one, ten = settings.rows(1_000_000), settings.rows(10_000_000)
    answers = inputs.answers(settings, one)
    table = inputs.distinct(settings, one)
    command, large_command = _command(settings, one), _command(settings, ten)
    joins = {peer: peers.join_command(settings, peer, table, answers) for peer in PEERS}
    ours: list[Usage] = []
    large: list[Usage] = []
    theirs: dict[str, list[Usage]] = {peer: [] for peer in PEERS}
    for _ in range(settings.runs):
        ours.append(measure_run(command))
        for peer, join in joins.items():
            theirs[peer].append(measure_run(join))
        large.append(measure_run(large_command))
    rate, peak = _rate(ours, one), _peak(ours)
    rates = {peer: _rate(runs, one) for peer, runs in theirs.items()}
    fast = max(PEERS, key=lambda peer: rates[peer].median)
    slow = min(PEERS, key=lambda peer: rates[peer].median)
    speed, speed_ten = (f"rows per second, {format_number(rows)} rows" for rows in (one, ten))
    memory, memory_ten = (f"peak memory, {format_number(rows)} rows" for rows in (one, ten))
    at_one = f"dingmap at {format_number(one)} rows"
    rows = [
        compare(speed, rate, f"{fast} join", rates[fast], at_least(1)),
        compare(memory, peak, f"{fast} join", _peak(theirs[fast]), at_most(1 / 8)),
        compare(speed_ten, _rate(large, ten), at_one, rate, at_least(0.4)),
        compare(speed, rate, f"{slow} join", rates[slow]),
        compare(memory, peak, f"{slow} join", _peak(theirs[slow])),
        compare(memory_ten, _peak(large), at_one, peak),
    ]
    notes = [
        "All numbers are distinct, in random order, and in the state file. The joins read the same "
        "answers from a table in another order and keep every row in its place. Processes are not "
        f"pinned to cores. {runs_note(settings.runs)} {peak_note()}",
        peers.versions_note(settings, *PEERS),
    ]
    commands = [shell_line(command), *map(shell_line, joins.values())]
    return [Section("known", "Known answers", comparison_table(rows), notes, commands)]


def _command(settings: Settings, rows: int) -> list[str]:
    table = inputs.distinct(settings, rows)
    state = known_state(settings, table, rows)
    return resolve(settings, table, KNOWN_ENDPOINT, state, max_age=ANY_AGE)


def _rate(runs: list[Usage], rows: int) -> Figure:
    return Figure([rows / usage.wall for usage in runs], "/s")


def _peak(runs: list[Usage]) -> Figure:
    return Figure([usage.peak for usage in runs], "MiB")
