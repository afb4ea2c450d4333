"""Owns goal 1, calls at an unlimited rate: what a row costs beside a generator of load, how many come through beside a
script, and what is left of the possible rate where replies are late. Servers have one core, clients another."""

from collections.abc import Sequence

from compare import inputs, peers, servers
from compare.dingmap import WORKERS, fresh_state, measure_fresh, resolve
from compare.figures import Figure, at_least, at_most, compared, comparison, spelt, told
from compare.peers import Load
from compare.process import Spent, shown
from compare.results import Section
from compare.servers import AFTER_20_MS, WITH_A_TAIL
from compare.setting import Setting


def measure(setting: Setting) -> list[Section]:
    many, few = setting.rows(300_000), setting.rows(30_000)
    versions = ", ".join(f"{peer} {version}" for peer, version in peers.versions(setting).items())
    with servers.nginx(setting, setting.server_core) as address:
        rows = _at_once(setting, address, many) + _late(setting, address, many, few)
        commands = _commands(setting, address, many)
    with servers.sandbox(setting, setting.server_core) as address:
        rows.insert(1, _beside_oha(setting, address, many))
    notes = [
        f"{spelt(many)} distinct numbers in no order ({spelt(few)} where replies are late), CSV in and out, "
        f"{WORKERS} workers, answers kept in a new state file; the server has one core, the client another. CPU is "
        f"user and system time of the client, for a row or a request; the rates of dingmap and the script are by their whole "
        f"time from start to end, those of oha, hey and wrk what they say themselves. {told(setting.runs)}",
        "Where replies are late wrk runs for as long as dingmap did, and what it reaches is the possible rate: each of "
        "its 64 connections waits for its reply, so that it is 64 ÷ the mean latency.",
        f"{versions}.",
    ]
    return [Section("calls", "Calls", comparison(rows), notes, commands)]


def _at_once(setting: Setting, address: str, many: int) -> list[list[str]]:
    table = inputs.distinct(setting, many)
    ours: list[Spent] = []
    scripts: list[Spent] = []
    loads: dict[str, list[Load]] = {"oha": [], "hey": [], "wrk": []}
    for _ in range(setting.runs):
        ours.append(measure_fresh(setting, table, address, setting.client_core))
        loads["oha"].append(peers.oha(setting, address, many))
        scripts.append(peers.aiohttp(setting, table, address))
        loads["hey"].append(peers.hey(setting, address, many))
        loads["wrk"].append(peers.wrk(setting, address, setting.seconds(10)))
    cpu, rate = _cpu(ours, many), _rate(ours, many)
    rows = [
        compared("CPU a row, nginx (stretch: 1.0)", cpu, "oha", _load_cpu(loads["oha"]), at_most(1.5)),
        compared("rows a second, nginx", rate, "aiohttp", _rate(scripts, many), at_least(8)),
        compared("CPU a row, nginx", cpu, "aiohttp", _cpu(scripts, many)),
    ]
    rows += [compared("CPU a row, nginx", cpu, peer, _load_cpu(loads[peer])) for peer in ("hey", "wrk")]
    rows += [compared("rows a second, nginx", rate, peer, _load_rate(load)) for peer, load in loads.items()]
    return rows


def _late(setting: Setting, address: str, many: int, few: int) -> list[list[str]]:
    rows = []
    for what, path, count, share in [
        ("rows a second, each reply after 20 ms", AFTER_20_MS, few, 0.97),
        ("rows a second, 1 % of the replies after 300 ms, the others after 20", WITH_A_TAIL, few, 0.92),
    ]:
        table = inputs.distinct(setting, count)
        ours, loads = [], []
        for _ in range(setting.runs):
            ours.append(measure_fresh(setting, table, address + path, setting.client_core))
            # As long as dingmap took: while no connection has met a late reply yet, more come through than later.
            loads.append(peers.wrk(setting, address + path, max(round(ours[-1].wall), 1)))
        rows.append(compared(what, _rate(ours, count), "wrk", _load_rate(loads), at_least(share)))
    return rows


def _beside_oha(setting: Setting, address: str, many: int) -> list[str]:
    table = inputs.distinct(setting, many)
    ours, loads = [], []
    for _ in range(setting.runs):
        ours.append(measure_fresh(setting, table, address, setting.client_core))
        loads.append(peers.oha(setting, address, many))
    return compared("CPU a row, dingmap sandbox", _cpu(ours, many), "oha", _load_cpu(loads), at_most(1.5))


def _commands(setting: Setting, address: str, many: int) -> list[str]:
    lines = [
        resolve(setting, inputs.distinct(setting, many), address, fresh_state(setting)),
        peers.oha_words(setting, address, many),
        peers.aiohttp_words(setting, inputs.distinct(setting, many), address),
        peers.hey_words(address, many),
        peers.wrk_words(setting, address, setting.seconds(10)),
    ]
    return [shown(words) for words in lines]


def _cpu(runs: Sequence[Spent], rows: int) -> Figure:
    return Figure([spent.cpu / rows * 1e6 for spent in runs], "µs")


def _rate(runs: Sequence[Spent], rows: int) -> Figure:
    return Figure([rows / spent.wall for spent in runs], "/s")


def _load_cpu(loads: Sequence[Load]) -> Figure:
    return Figure([load.cpu for load in loads], "µs")


def _load_rate(loads: Sequence[Load]) -> Figure:
    return Figure([load.rate for load in loads], "/s")
