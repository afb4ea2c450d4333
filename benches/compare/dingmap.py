"""Command lines of dingmap, and state files for its runs."""

import hashlib
from pathlib import Path

from compare.process import Usage, measure
from compare.servers import Endpoint, nginx
from compare.settings import Settings

WORKERS = 64

# Stored answers are valid for the endpoint that gave them. This one runs only while a state file is
# filled, so a run that should make no calls fails if it makes one.
KNOWN_PORT = 18_099
KNOWN_ENDPOINT = Endpoint(f"http://127.0.0.1:{KNOWN_PORT}")


def resolve(
    settings: Settings,
    table: Path,
    endpoint: Endpoint,
    state: Path | None,
    *,
    output: str | None = None,
    rate: str = "unlimited",
    workers: int = WORKERS,
    max_age: str = "0",
) -> list[str]:
    """The command of a run. Without `state` the answers stay in memory."""
    written = output or str(settings.work / "resolved.csv")
    command = [str(settings.dingmap), "resolve", str(table), "-o", written]
    command += ["-r", rate, "-j", str(workers), "--max-age", max_age, "--quiet"]
    command += ["--endpoint", endpoint.url]
    if endpoint.ca is not None:
        command += ["--ca-file", str(endpoint.ca)]
    return command + (["--no-state"] if state is None else ["--state", str(state)])


def new_state(settings: Settings, name: str = "fresh") -> Path:
    """A path at which no state file exists."""
    state = settings.work / f"{name}.redb"
    delete_state(state)
    return state


def delete_state(state: Path) -> None:
    """Deletes a state file and its lock file."""
    state.unlink(missing_ok=True)
    state.with_name(f"{state.name}.lock").unlink(missing_ok=True)


def measure_new(
    settings: Settings,
    table: Path,
    endpoint: Endpoint,
    core: int | None = None,
    workers: int = WORKERS,
) -> Usage:
    """A run with a new state file, pinned to `core` if given."""
    state = new_state(settings)
    usage = measure(resolve(settings, table, endpoint, state, workers=workers), core)
    delete_state(state)
    return usage


def known_state(settings: Settings, table: Path, rows: int) -> Path:
    """A state file with the answer to every row of `table`, made once per executable."""
    build = hashlib.sha256(settings.dingmap.read_bytes()).hexdigest()[:8]
    known = settings.work / f"known-{rows}-{build}.redb"
    if not known.exists():
        for outdated in settings.work.glob(f"known-{rows}-*"):
            outdated.unlink()
        state = new_state(settings, "unfinished")
        with nginx(settings, None, KNOWN_PORT) as server:
            measure(resolve(settings, table, server.http, state))
        state.rename(known)
        delete_state(state)
    return known
