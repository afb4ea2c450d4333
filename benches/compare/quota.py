"""Goal 4: a run at the quota: CPU share, context switches, and time to the first call."""

import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic

from compare import inputs, servers
from compare.dingmap import delete_state, new_state, resolve
from compare.figures import Figure, at_most, compare, comparison_table, single
from compare.process import Child, MeasurementError, Usage, shell_line
from compare.results import Section
from compare.servers import Endpoint
from compare.settings import Settings

RATE = 20
PARALLEL_RUNS = 5
STARTS = 20


def measure(settings: Settings) -> list[Section]:
    seconds = settings.seconds(300)
    table = inputs.distinct(settings, RATE * seconds)
    cpu, switches, idle, command = _run_at_quota(settings, table, RATE * seconds)
    starts = 3 if settings.quick else STARTS
    with_state = _first_calls(settings, table, starts, with_state=True)
    without_state = _first_calls(settings, table, starts, with_state=False)
    rows = [
        single("CPU of one core", cpu, at_most(0.3, "%")),
        compare("CPU of one core", cpu, "a sleeping loop", idle),
        single("context switches per call", switches, at_most(5)),
        single("start to first call, new state file", with_state, at_most(30, "ms")),
        single("start to first call, no state file", without_state, at_most(30, "ms")),
    ]
    notes = [
        f"{RATE} calls per second for {seconds} s over plain HTTP, {PARALLEL_RUNS} runs at the "
        "same time, each with its own state file and nginx. Median of all runs, with the lowest "
        "and the highest in parentheses. Context switches are those of all threads, voluntary and "
        "involuntary. The sleeping loop is in Python, runs at the same time, wakes once per call "
        "and does nothing: it shows what waking costs on this machine. The first call is timed at "
        f"a server inside these scripts, {starts} times, with files in the page cache."
    ]
    lines = [shell_line(command)]
    return [Section("quota", "At the quota", comparison_table(rows), notes, lines)]


def _run_at_quota(
    settings: Settings, table: Path, calls: int
) -> tuple[Figure, Figure, Figure, list[str]]:
    """CPU share and context switches of parallel runs, CPU share of the loop, a run's command."""
    with ExitStack() as stack:
        children, states = [], []
        for run in range(PARALLEL_RUNS):
            server = stack.enter_context(servers.nginx(settings, None))
            states.append(new_state(settings, f"quota-{run}"))
            output = str(settings.work / f"quota-{run}.csv")
            endpoint, rate = server.http, str(RATE)
            command = resolve(settings, table, endpoint, states[-1], output=output, rate=rate)
            children.append(Child(command, None))
        loop = f"import time\nfor _ in range({calls}): time.sleep({1 / RATE})"
        sleeper = Child([sys.executable, "-S", "-c", loop], None)
        runs = [child.wait() for child in children]
        sleeping = sleeper.wait()
    for state in states:
        delete_state(state)
    share = Figure([_percent_of_core(run) for run in runs], "%")
    switches = Figure([run.switches / calls for run in runs], "")
    return share, switches, Figure([_percent_of_core(sleeping)], "%"), command


def _percent_of_core(usage: Usage) -> float:
    return usage.cpu / usage.wall * 100


def _first_calls(settings: Settings, table: Path, starts: int, with_state: bool) -> Figure:
    """Milliseconds from start to first call; one more start before fills the page cache."""
    times = [_first_call(settings, table, with_state) for _ in range(starts + 1)]
    return Figure(times[1:], "ms")


def _first_call(settings: Settings, table: Path, with_state: bool) -> float:
    state = new_state(settings) if with_state else None
    with _listener() as (listener, endpoint):
        child = Child(resolve(settings, table, endpoint, state, rate=str(RATE)), None)
        try:
            connection, _ = listener.accept()
            with connection:
                received = connection.recv(1 << 16)
                elapsed = monotonic() - child.started
        finally:
            child.stop(signal.SIGKILL)
    if not received.startswith(b"POST "):
        raise MeasurementError(f"not a call: {received!r}")
    if state is not None:
        delete_state(state)
    return elapsed * 1e3


@contextmanager
def _listener() -> Iterator[tuple[socket.socket, Endpoint]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        yield listener, Endpoint(f"http://127.0.0.1:{listener.getsockname()[1]}")
