"""Owns one measured child: it is started, perhaps on one core, and what it took is read from the kernel at its end.

The kernel counts the memory of the process that starts a child as the child's own until the child's program is loaded.
A peak can therefore not be seen below that of this process, which is why nothing here keeps a file in memory, and why
plots are drawn by a process of their own.
"""

import os
import re
import resource
import shlex
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from compare.setting import ROOT

MIB = 1 << 20

# Children see nothing of the caller's settings for dingmap, proxies or languages.
ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": os.environ["HOME"],
    "LC_ALL": "C.UTF-8",
    # The token that the sandbox takes; nginx takes any.
    "DINGTALK_ACCESS_TOKEN": "sandbox-token",
}


class Failed(Exception):
    """A child that did not end well, so that its figures mean nothing."""


@dataclass(frozen=True)
class Spent:
    """What a child took."""

    wall: float
    user: float
    system: float
    peak: float
    switches: int

    @property
    def cpu(self) -> float:
        """Seconds of a core."""
        return self.user + self.system


class Child:
    """A child that runs."""

    def __init__(self, words: Sequence[str], core: int | None, output: int | None = None) -> None:
        """Starts `words`, on `core` alone if one is named; `output` is an open file for what is printed."""
        self.words = list(words)
        cores = os.sched_getaffinity(0)
        if core is not None:
            os.sched_setaffinity(0, {core})
        with open(os.devnull, "r+b") as nothing:
            actions = [
                (os.POSIX_SPAWN_DUP2, nothing.fileno(), 0),
                (os.POSIX_SPAWN_DUP2, nothing.fileno() if output is None else output, 1),
            ]
            self.begun = time.monotonic()
            self.id = os.posix_spawnp(self.words[0], self.words, ENVIRONMENT, file_actions=actions)
        os.sched_setaffinity(0, cores)

    def wait(self) -> Spent:
        """Waits for a good end."""
        spent, status = self._end()
        if status != 0:
            raise Failed(f"exit status {status}: {shown(self.words)}")
        return spent

    def stop(self, by: signal.Signals = signal.SIGTERM) -> Spent:
        """Ends it, in whatever it is at."""
        os.kill(self.id, by)
        return self._end()[0]

    def _end(self) -> tuple[Spent, int]:
        _, status, usage = os.wait4(self.id, 0)
        spent = Spent(
            wall=time.monotonic() - self.begun,
            user=usage.ru_utime,
            system=usage.ru_stime,
            peak=usage.ru_maxrss * 1024 / MIB,
            switches=usage.ru_nvcsw + usage.ru_nivcsw,
        )
        return spent, os.waitstatus_to_exitcode(status)


def measure(words: Sequence[str], core: int | None = None) -> Spent:
    """Runs `words` to the end. What earlier runs wrote goes to the disk first, so that nobody waits for another's."""
    os.sync()
    return Child(words, core).wait()


def measure_text(words: Sequence[str], text: Path, core: int | None = None) -> tuple[Spent, str]:
    """The same, with what was printed, which goes through a file."""
    os.sync()
    with text.open("wb") as file:
        spent = Child(words, core, file.fileno()).wait()
    return spent, text.read_text()


def blind_spot() -> str:
    """What cannot be seen of a peak, for those who read one."""
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MIB
    return f"A peak below {own:.0f} MiB, that of the harness, is not seen."


def shown(words: Sequence[str]) -> str:
    """A command line as a reader would type it from the root of the repository."""
    name, *rest = words
    line = shlex.join([Path(name).name, *rest]).replace(f"{ROOT}/", "")
    return re.sub(r"(127\.0\.0\.1):\d+", r"\1:PORT", line)
