"""Owns the peers: their command lines, their versions, and how their reports are read."""

import json
import re
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from compare.inputs import mobile
from compare.process import Failed, Spent, measure, measure_text
from compare.setting import Setting

CONNECTIONS = 64

# What dingmap calls and sends.
CALL = "/topapi/v2/user/getbymobile?access_token=sandbox-token"
BODY = json.dumps({"mobile": mobile(0), "support_exclusive_account_search": True}, separators=(",", ":"))

SCRIPT = f"""\
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{BODY}'
"""


@dataclass(frozen=True)
class Load:
    """What a generator of load did."""

    spent: Spent
    requests: int
    rate: float

    @property
    def cpu(self) -> float:
        """Microseconds of a core for each request."""
        return self.spent.cpu / self.requests * 1e6


def oha_words(setting: Setting, url: str, requests: int) -> list[str]:
    """On one core, and so with one thread."""
    words = [setting.peer("oha"), "--no-tui", "--output-format", "json", "--worker-threads", "1"]
    words += ["-c", str(CONNECTIONS), "-n", str(requests), "-m", "POST", "-T", "application/json", "-d", BODY]
    return [*words, f"{url}{CALL}"]


def oha(setting: Setting, url: str, requests: int) -> Load:
    """oha on the clients' core."""
    words = oha_words(setting, url, requests)
    spent, text = measure_text(words, setting.work / "oha.json", setting.client_core)
    report = json.loads(text)
    answered = report["statusCodeDistribution"].get("200", 0)
    _all_answered("oha", answered, requests)
    return Load(spent, requests, report["summary"]["requestsPerSec"])


def hey_words(url: str, requests: int) -> list[str]:
    """On one core, and so with one thread of its own."""
    words = ["hey", "-cpus", "1", "-c", str(CONNECTIONS), "-n", str(requests), "-m", "POST", "-T", "application/json"]
    return [*words, "-d", BODY, f"{url}{CALL}"]


def hey(setting: Setting, url: str, requests: int) -> Load:
    """hey on the clients' core; it makes as many requests for each connection."""
    requests -= requests % CONNECTIONS
    spent, text = measure_text(hey_words(url, requests), setting.work / "hey.txt", setting.client_core)
    _all_answered("hey", int(_found(r"\[200\]\s+(\d+) responses", text)), requests)
    return Load(spent, requests, float(_found(r"Requests/sec:\s+([\d.]+)", text)))


def wrk_words(setting: Setting, url: str, seconds: int) -> list[str]:
    """wrk runs for a time, not for a number of requests."""
    script = setting.work / "post.lua"
    script.write_text(SCRIPT)
    return ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(script), f"{url}{CALL}"]


def wrk(setting: Setting, url: str, seconds: int) -> Load:
    """wrk on the clients' core."""
    spent, text = measure_text(wrk_words(setting, url, seconds), setting.work / "wrk.txt", setting.client_core)
    requests = int(_found(r"(\d+) requests in", text))
    if "Non-2xx" in text or "Socket errors" in text:
        raise Failed(f"wrk was not answered each time:\n{text}")
    return Load(spent, requests, float(_found(r"Requests/sec:\s+([\d.]+)", text)))


def aiohttp_words(setting: Setting, table: Path, url: str) -> list[str]:
    """The script that stands beside this file."""
    script = Path(__file__).with_name("aiohttp_peer.py")
    return [setting.python, str(script), str(table), str(setting.work / "aiohttp.csv"), f"{url}{CALL}"]


def aiohttp(setting: Setting, table: Path, url: str) -> Spent:
    """The script on the clients' core."""
    return measure(aiohttp_words(setting, table, url), setting.client_core)


def join_words(setting: Setting, peer: str, table: Path, answers: Path) -> list[str]:
    """`--left` keeps every row in the order of the table, as dingmap does."""
    joined = str(setting.work / f"{peer}.csv")
    return [setting.peer(peer), "join", "--left", "mobile", str(table), "mobile", str(answers), "-o", joined]


def stats_words(setting: Setting, peer: str, table: Path) -> list[str]:
    """The statistics of the column with the numbers, among them how many there are."""
    cardinality = {"xan": "-c", "xsv": "--cardinality"}[peer]
    return [setting.peer(peer), "stats", cardinality, "-s", "mobile", str(table)]


@cache
def versions(setting: Setting) -> dict[str, str]:
    """The peers that were measured, each with its version."""
    # It gives its usage too, and fails.
    wrk = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False)
    nginx = subprocess.run(["nginx", "-v"], capture_output=True, text=True, check=True)
    dpkg = ["dpkg-query", "--show", "--showformat", "${Version}", "hey"]
    aiohttp = [setting.python, "-c", "import aiohttp; print(aiohttp.__version__)"]
    return {
        "oha": _printed([setting.peer("oha"), "--version"]).removeprefix("oha "),
        "xan": _printed([setting.peer("xan"), "--version"]),
        "xsv": _printed([setting.peer("xsv"), "--version"]),
        "hey": _printed(dpkg),
        "wrk": _found(r"wrk (?:debian/)?(\S+)", wrk.stdout),
        "nginx": _found(r"nginx/(\S+)", nginx.stderr),
        "aiohttp": f"{_printed(aiohttp)} on {_printed([setting.python, '--version'])}",
    }


def _printed(words: list[str]) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()


def _found(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    if found is None:
        raise Failed(f"nothing like {pattern} in:\n{text}")
    return found[1]


def _all_answered(peer: str, answered: int, requests: int) -> None:
    if answered != requests:
        raise Failed(f"{peer} had {answered} answers to {requests} requests")
