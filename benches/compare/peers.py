"""The other programs: their command lines, versions, and reports."""

import json
import re
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from compare.inputs import shuffled_number
from compare.process import MeasurementError, Usage, measure, measure_output
from compare.servers import Endpoint
from compare.settings import Settings

CONNECTIONS = 64

# The path and body of dingmap's calls.
PATH = "/topapi/v2/user/getbymobile?access_token=sandbox-token"
BODY = json.dumps(
    {"mobile": shuffled_number(0), "support_exclusive_account_search": True},
    separators=(",", ":"),
)
POST = ["-m", "POST", "-T", "application/json", "-d", BODY]

WRK_SCRIPT = f"""\
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{BODY}'
"""


@dataclass(frozen=True)
class Load:
    """What a load generator used, and its own report."""

    usage: Usage
    requests: int
    rate: float

    @property
    def cpu(self) -> float:
        """CPU time per request in µs."""
        return self.usage.cpu / self.requests * 1e6


def oha_command(settings: Settings, endpoint: Endpoint, requests: int) -> list[str]:
    """One thread, because it has one core. With HTTP/2, one connection carries all requests."""
    command = [settings.peer("oha"), "--no-tui", "--output-format", "json"]
    command += ["--worker-threads", "1", "-n", str(requests)]
    if endpoint.http2:
        command += ["--http2", "-c", "1", "-p", str(CONNECTIONS)]
    else:
        command += ["-c", str(CONNECTIONS)]
    if endpoint.ca is not None:
        command += ["--cacert", str(endpoint.ca)]
    return [*command, *POST, f"{endpoint.url}{PATH}"]


def oha(settings: Settings, endpoint: Endpoint, requests: int) -> Load:
    """A run of oha on the clients' core."""
    command = oha_command(settings, endpoint, requests)
    usage, text = measure_output(command, settings.work / "oha.json", settings.client_core)
    report = json.loads(text)
    _check_replies("oha", report["statusCodeDistribution"].get("200", 0), requests)
    return Load(usage, requests, report["summary"]["requestsPerSec"])


def hey_command(endpoint: Endpoint, requests: int) -> list[str]:
    """One thread, because it has one core."""
    counts = ["-cpus", "1", "-c", str(CONNECTIONS), "-n", str(requests)]
    return ["hey", *counts, *POST, f"{endpoint.url}{PATH}"]


def hey(settings: Settings, endpoint: Endpoint, requests: int) -> Load:
    """A run of hey on the clients' core. Each of its connections makes as many requests."""
    requests -= requests % CONNECTIONS
    command = hey_command(endpoint, requests)
    usage, text = measure_output(command, settings.work / "hey.txt", settings.client_core)
    _check_replies("hey", int(_search(r"\[200\]\s+(\d+) responses", text)), requests)
    return Load(usage, requests, float(_search(r"Requests/sec:\s+([\d.]+)", text)))


def wrk_command(settings: Settings, endpoint: Endpoint, seconds: int) -> list[str]:
    """wrk runs for a time, not for a number of requests."""
    script = settings.work / "post.lua"
    script.write_text(WRK_SCRIPT)
    options = ["-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(script)]
    return ["wrk", *options, f"{endpoint.url}{PATH}"]


def wrk(settings: Settings, endpoint: Endpoint, seconds: int) -> Load:
    """A run of wrk on the clients' core."""
    command = wrk_command(settings, endpoint, seconds)
    usage, text = measure_output(command, settings.work / "wrk.txt", settings.client_core)
    requests = int(_search(r"(\d+) requests in", text))
    if "Non-2xx" in text or "Socket errors" in text:
        raise MeasurementError(f"wrk: requests failed:\n{text}")
    return Load(usage, requests, float(_search(r"Requests/sec:\s+([\d.]+)", text)))


def aiohttp_command(settings: Settings, table: Path, endpoint: Endpoint) -> list[str]:
    """The script `aiohttp_peer.py`."""
    script = str(Path(__file__).with_name("aiohttp_peer.py"))
    files = [str(table), str(settings.work / "aiohttp.csv")]
    ca = [] if endpoint.ca is None else [str(endpoint.ca)]
    return [settings.python, script, *files, f"{endpoint.url}{PATH}", *ca]


def aiohttp(settings: Settings, table: Path, endpoint: Endpoint) -> Usage:
    """A run of the script on the clients' core."""
    return measure(aiohttp_command(settings, table, endpoint), settings.client_core)


def join_command(settings: Settings, peer: str, table: Path, answers: Path) -> list[str]:
    """`--left` keeps every row of the table, in order, as dingmap does."""
    joined = str(settings.work / f"{peer}.csv")
    keys = ["mobile", str(table), "mobile", str(answers)]
    return [settings.peer(peer), "join", "--left", *keys, "-o", joined]


def stats_command(settings: Settings, peer: str, table: Path) -> list[str]:
    """Statistics of the column with the numbers, including the number of distinct values."""
    cardinality = {"xan": "-c", "xsv": "--cardinality"}[peer]
    return [settings.peer(peer), "stats", cardinality, "-s", "mobile", str(table)]


@cache
def version(settings: Settings, peer: str) -> str:
    """The version of a peer, or of nginx or Python."""
    match peer:
        case "oha" | "xan" | "xsv":
            return _output([settings.peer(peer), "--version"]).removeprefix(f"{peer} ")
        case "hey":
            return _output(["dpkg-query", "--show", "--showformat", "${Version}", "hey"])
        case "wrk":
            # Prints its version and usage, then exits with status 1.
            done = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False)
            return _search(r"wrk (?:debian/)?(\S+)", done.stdout)
        case "nginx":
            done = subprocess.run(["nginx", "-v"], capture_output=True, text=True, check=True)
            return _search(r"nginx/(\S+)", done.stderr)
        case "aiohttp":
            module = "import aiohttp; print(aiohttp.__version__)"
            python = _output([settings.python, "--version"])
            return f"{_output([settings.python, '-c', module])} on {python}"
    raise ValueError(f"unknown peer: {peer}")


def versions_note(settings: Settings, *peers: str) -> str:
    """A line with the versions of `peers`."""
    return f"Versions: {', '.join(f'{peer} {version(settings, peer)}' for peer in peers)}."


def _output(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _search(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    if found is None:
        raise MeasurementError(f"no match for {pattern} in:\n{text}")
    return found[1]


def _check_replies(peer: str, replies: int, requests: int) -> None:
    if replies != requests:
        raise MeasurementError(f"{peer}: {replies} of {requests} requests got status 200")
