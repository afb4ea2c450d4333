"""Owns dingmap's command lines, and the state files that runs are given."""

import hashlib
from pathlib import Path

from compare.process import Spent, measure
from compare.servers import nginx
from compare.setting import Setting

WORKERS = 64

# Answers hold for the endpoint that gave them. This one answers while a state is made and never after, so that a run
# with known answers that asks for one all the same fails.
KNOWN_PORT = 18_099
KNOWN_ENDPOINT = f"http://127.0.0.1:{KNOWN_PORT}"


def resolve(
    setting: Setting,
    table: Path,
    endpoint: str,
    state: Path | None,
    *,
    output: str | None = None,
    rate: str = "unlimited",
    workers: int = WORKERS,
    max_age: str = "0",
) -> list[str]:
    """The command line of a run; without a state it keeps its answers in memory."""
    words = [str(setting.dingmap), "resolve", str(table), "-o", output or str(setting.work / "resolved.csv")]
    words += ["-r", rate, "-j", str(workers), "--max-age", max_age, "--quiet", "--endpoint", endpoint]
    return words + (["--no-state"] if state is None else ["--state", str(state)])


def fresh_state(setting: Setting, name: str = "fresh") -> Path:
    """Where a state file may be, and none is."""
    state = setting.work / f"{name}.redb"
    forget(state)
    return state


def forget(state: Path) -> None:
    """Removes a state file and its lock."""
    state.unlink(missing_ok=True)
    state.with_name(f"{state.name}.lock").unlink(missing_ok=True)


def measure_fresh(
    setting: Setting, table: Path, endpoint: str, core: int | None = None, workers: int = WORKERS
) -> Spent:
    """A run that keeps its answers in a new state file, on a core or on all."""
    state = fresh_state(setting)
    spent = measure(resolve(setting, table, endpoint, state, workers=workers), core)
    forget(state)
    return spent


def known_state(setting: Setting, table: Path, rows: int) -> Path:
    """A state file with the answers to every row of `table`, as this executable writes it. It is made once, and is whole when it
    has its name."""
    build = hashlib.sha256(setting.dingmap.read_bytes()).hexdigest()[:8]
    known = setting.work / f"known-{rows}-{build}.redb"
    if not known.exists():
        for former in setting.work.glob(f"known-{rows}-*"):
            former.unlink()
        state = fresh_state(setting, "unfinished")
        with nginx(setting, None, KNOWN_PORT) as address:
            measure(resolve(setting, table, address, state))
        state.rename(known)
        forget(state)
    return known
