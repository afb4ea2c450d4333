"""Goal 1: calls at an unlimited rate, over TLS with HTTP/2 and HTTP/1.1, and over plain HTTP.

Compares CPU time per row with load generators, rows per second with a script, and rows per second
from slow servers with the rate that is possible. Servers have one core, clients another.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from compare import inputs, peers, servers
from compare.dingmap import WORKERS, measure_new, new_state, resolve
from compare.figures import (
    Figure,
    at_least,
    at_most,
    compare,
    comparison_table,
    format_number,
    runs_note,
)
from compare.peers import Load
from compare.process import Usage, shell_line
from compare.results import Section
from compare.servers import AFTER_20_MS, LONG_TAIL, Endpoint, Nginx
from compare.settings import Settings

MAX_CPU_RATIO = at_most(1.5)


def measure(settings: Settings) -> list[Section]:
    many, few = settings.rows(300_000), settings.rows(30_000)
    with servers.nginx(settings, settings.server_core) as server:
        rows = _cpu_rows(settings, server, many)
        other_rows = _script_and_generators(settings, server.https, many)
        other_rows += _slow_servers(settings, server.https, few)
        commands = _commands(settings, server, many)
    with servers.sandbox(settings, settings.server_core) as endpoint:
        table = inputs.distinct(settings, many)
        rows.append(_cpu_row(settings, "sandbox, HTTP/2 over TLS", endpoint, table, many))
    notes = [
        f"{format_number(many)} distinct numbers in random order ({format_number(few)} for slow "
        f"servers), CSV input and output, {WORKERS} workers, answers stored in a new state file. "
        "The server has one core, the client another. CPU is user plus system time of the client, "
        "per row or per request. The ratio of CPU per row to oha's CPU per request is what the "
        "goal is about. Rates of dingmap and of the script are rows ÷ total run time; oha, hey "
        f"and wrk report their own. {runs_note(settings.runs)}",
        "nginx has three ports: HTTP/2 over TLS, HTTP/1.1 over TLS, plain HTTP. Rows that name no "
        "protocol use HTTP/1.1 over TLS. dingmap, oha and the script verify the certificate with "
        "the test CA; hey and wrk verify none. With HTTP/2, oha has one connection with 64 "
        "requests in flight (`-c 1 -p 64`), otherwise 64 connections (`-c 64`).",
        "With slow replies, wrk runs for as long as dingmap did. Its rate is the possible rate: "
        "each of its 64 connections waits for its reply, so the rate is 64 ÷ mean latency.",
        peers.versions_note(settings, "oha", "hey", "wrk", "nginx", "aiohttp"),
    ]
    return [Section("calls", "Calls", comparison_table(rows + other_rows), notes, commands)]


def _protocols(server: Nginx) -> dict[str, Endpoint]:
    return {
        "HTTP/2 over TLS": server.http2,
        "HTTP/1.1 over TLS": server.https,
        "plain HTTP": server.http,
    }


def _cpu_rows(settings: Settings, server: Nginx, many: int) -> list[list[str]]:
    table = inputs.distinct(settings, many)
    return [
        _cpu_row(settings, f"nginx, {protocol}", endpoint, table, many)
        for protocol, endpoint in _protocols(server).items()
    ]


def _cpu_row(
    settings: Settings, label: str, endpoint: Endpoint, table: Path, many: int
) -> list[str]:
    ours, loads = [], []
    for _ in range(settings.runs):
        ours.append(measure_new(settings, table, endpoint, settings.client_core))
        loads.append(peers.oha(settings, endpoint, many))
    theirs = _load_cpu(loads)
    return compare(f"CPU per row, {label}", _cpu(ours, many), "oha", theirs, MAX_CPU_RATIO)


def _script_and_generators(settings: Settings, endpoint: Endpoint, many: int) -> list[list[str]]:
    table = inputs.distinct(settings, many)
    generators: dict[str, Callable[[], Load]] = {
        "oha": lambda: peers.oha(settings, endpoint, many),
        "hey": lambda: peers.hey(settings, endpoint, many),
        "wrk": lambda: peers.wrk(settings, endpoint, settings.seconds(10)),
    }
    ours: list[Usage] = []
    scripts: list[Usage] = []
    loads: dict[str, list[Load]] = {peer: [] for peer in generators}
    for _ in range(settings.runs):
        ours.append(measure_new(settings, table, endpoint, settings.client_core))
        scripts.append(peers.aiohttp(settings, table, endpoint))
        for peer, generate in generators.items():
            loads[peer].append(generate())
    cpu, rate = _cpu(ours, many), _rate(ours, many)
    rows = [
        compare("rows per second", rate, "aiohttp", _rate(scripts, many), at_least(8)),
        compare("CPU per row", cpu, "aiohttp", _cpu(scripts, many)),
    ]
    rows += [compare("CPU per row", cpu, peer, _load_cpu(loads[peer])) for peer in ("hey", "wrk")]
    rows += [
        compare("rows per second", rate, peer, _load_rate(load)) for peer, load in loads.items()
    ]
    return rows


def _slow_servers(settings: Settings, endpoint: Endpoint, count: int) -> list[list[str]]:
    table = inputs.distinct(settings, count)
    rows = []
    for label, path, share in [
        ("rows per second, replies after 20 ms", AFTER_20_MS, 0.97),
        ("rows per second, 99 % of replies after 20 ms, 1 % after 300 ms", LONG_TAIL, 0.92),
    ]:
        slow = endpoint.under(path)
        ours, loads = [], []
        for _ in range(settings.runs):
            ours.append(measure_new(settings, table, slow, settings.client_core))
            # A shorter run of wrk would have a higher rate: at its start no connection waits for a
            # slow reply yet.
            loads.append(peers.wrk(settings, slow, max(round(ours[-1].wall), 1)))
        rows.append(compare(label, _rate(ours, count), "wrk", _load_rate(loads), at_least(share)))
    return rows


def _commands(settings: Settings, server: Nginx, many: int) -> list[str]:
    table = inputs.distinct(settings, many)
    lines: list[str] = []
    for protocol, endpoint in _protocols(server).items():
        lines.append(f"# {protocol}")
        lines.append(shell_line(resolve(settings, table, endpoint, new_state(settings))))
        lines.append(shell_line(peers.oha_command(settings, endpoint, many)))
    others = [
        peers.aiohttp_command(settings, table, server.https),
        peers.hey_command(server.https, many),
        peers.wrk_command(settings, server.https, settings.seconds(10)),
    ]
    return [*lines, "# HTTP/1.1 over TLS", *map(shell_line, others)]


def _cpu(runs: Sequence[Usage], rows: int) -> Figure:
    return Figure([usage.cpu / rows * 1e6 for usage in runs], "µs")


def _rate(runs: Sequence[Usage], rows: int) -> Figure:
    return Figure([rows / usage.wall for usage in runs], "/s")


def _load_cpu(loads: Sequence[Load]) -> Figure:
    return Figure([load.cpu for load in loads], "µs")


def _load_rate(loads: Sequence[Load]) -> Figure:
    return Figure([load.rate for load in loads], "/s")
