"""Owns goal 4, a run at the quota: that it costs nothing, wakes for a reason alone and is quick with its first call."""

import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic

from compare import inputs, servers
from compare.dingmap import forget, fresh_state, resolve
from compare.figures import Figure, alone, at_most, compared, comparison
from compare.process import Child, Failed, Spent, shown
from compare.results import Section
from compare.setting import Setting

RATE = 20
AT_ONCE = 5
STARTS = 20


def measure(setting: Setting) -> list[Section]:
    seconds = setting.seconds(300)
    table = inputs.distinct(setting, RATE * seconds)
    cpu, switches, idle, words = _at_the_quota(setting, table, RATE * seconds)
    starts = 3 if setting.quick else STARTS
    new = _first_calls(setting, table, starts, with_state=True)
    none = _first_calls(setting, table, starts, with_state=False)
    rows = [
        alone("CPU of one core", cpu, at_most(0.3, "%")),
        compared("CPU of one core", cpu, "a loop that sleeps", idle),
        alone("context switches a call", switches, at_most(5)),
        alone("start to first call, new state", new, at_most(30, "ms")),
        alone("start to first call, no state", none, at_most(30, "ms")),
    ]
    notes = [
        f"{RATE} calls a second for {seconds} s, {AT_ONCE} runs at the same time, each with a state and an nginx of "
        "its own; the median counts, and behind it stand the lowest and the highest. Context switches are those of all "
        f"threads, wanted or not. The loop is one of Python's that wakes as often as there are calls, at the same time, and "
        f"does nothing: what waking alone costs on this machine. The first call is its arrival at a server in this harness, {starts} times, with warm "
        "files."
    ]
    return [Section("quota", "At the quota", comparison(rows), notes, [shown(words)])]


def _at_the_quota(setting: Setting, table: Path, calls: int) -> tuple[Figure, Figure, Figure, list[str]]:
    """The share of a core and the context switches of runs at the same time, the share that a loop takes beside them, and
    the command line of one run."""
    with ExitStack() as stack:
        children, states = [], []
        for run in range(AT_ONCE):
            address = stack.enter_context(servers.nginx(setting, None))
            states.append(fresh_state(setting, f"quota-{run}"))
            output = str(setting.work / f"quota-{run}.csv")
            words = resolve(setting, table, address, states[-1], output=output, rate=str(RATE))
            children.append(Child(words, None))
        loop = f"import time\nfor _ in range({calls}): time.sleep({1 / RATE})"
        sleeper = Child([sys.executable, "-S", "-c", loop], None)
        spent = [child.wait() for child in children]
        slept = sleeper.wait()
    for state in states:
        forget(state)
    shares = Figure([_share(one) for one in spent], "%")
    return shares, Figure([one.switches / calls for one in spent], ""), Figure([_share(slept)], "%"), words


def _share(spent: Spent) -> float:
    """Percent of a core."""
    return spent.cpu / spent.wall * 100


def _first_calls(setting: Setting, table: Path, starts: int, with_state: bool) -> Figure:
    """Milliseconds from the start of a run to its first call; a start before the first one warms the files."""
    return Figure([_first_call(setting, table, with_state) for _ in range(starts + 1)][1:], "ms")


def _first_call(setting: Setting, table: Path, with_state: bool) -> float:
    state = fresh_state(setting) if with_state else None
    with _listener() as (listener, address):
        child = Child(resolve(setting, table, address, state, rate=str(RATE)), None)
        try:
            connection, _ = listener.accept()
            with connection:
                arrived = connection.recv(1 << 16)
                took = monotonic() - child.begun
        finally:
            child.stop(signal.SIGKILL)
    if not arrived.startswith(b"POST "):
        raise Failed(f"no call, but {arrived!r}")
    if state is not None:
        forget(state)
    return took * 1e3


@contextmanager
def _listener() -> Iterator[tuple[socket.socket, str]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        yield listener, f"http://127.0.0.1:{listener.getsockname()[1]}"
