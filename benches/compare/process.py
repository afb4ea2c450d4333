"""Child processes and what they used: time, CPU time, memory, context switches.

Until a child has loaded its program, the kernel counts the memory of its parent as the child's.
A peak below the memory of this process can therefore not be measured. This is why the scripts never
load whole files into memory, and why charts are drawn by another process.
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

from compare.settings import ROOT

MIB = 1 << 20

# Excludes the caller's variables for dingmap, proxies and languages.
ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": os.environ["HOME"],
    "LC_ALL": "C.UTF-8",
    # The token that the sandbox accepts; nginx accepts any.
    "DINGTALK_ACCESS_TOKEN": "sandbox-token",
}


class MeasurementError(Exception):
    """A process failed, or did less than it should, so its figures are not valid."""


@dataclass(frozen=True)
class Usage:
    """What a child used: seconds, MiB, and context switches of both kinds."""

    wall: float
    user: float
    system: float
    peak: float
    switches: int

    @property
    def cpu(self) -> float:
        """CPU time in seconds."""
        return self.user + self.system


class Child:
    """A running child process."""

    def __init__(self, command: Sequence[str], core: int | None, output: int | None = None) -> None:
        """Starts `command`, pinned to `core` if given; `output` is a file descriptor for stdout."""
        self.command = list(command)
        cores = os.sched_getaffinity(0)
        if core is not None:
            os.sched_setaffinity(0, {core})
        with open(os.devnull, "r+b") as null:
            actions = [
                (os.POSIX_SPAWN_DUP2, null.fileno(), 0),
                (os.POSIX_SPAWN_DUP2, null.fileno() if output is None else output, 1),
            ]
            self.started = time.monotonic()
            self.id = os.posix_spawnp(
                self.command[0], self.command, ENVIRONMENT, file_actions=actions
            )
        os.sched_setaffinity(0, cores)

    def wait(self) -> Usage:
        """Waits for the end; any exit status but 0 is an error."""
        usage, status = self._wait()
        if status != 0:
            raise MeasurementError(f"exit status {status}: {shell_line(self.command)}")
        return usage

    def stop(self, number: signal.Signals = signal.SIGTERM) -> Usage:
        """Sends a signal and waits for the end."""
        os.kill(self.id, number)
        return self._wait()[0]

    def _wait(self) -> tuple[Usage, int]:
        _, status, used = os.wait4(self.id, 0)
        usage = Usage(
            wall=time.monotonic() - self.started,
            user=used.ru_utime,
            system=used.ru_stime,
            peak=used.ru_maxrss * 1024 / MIB,
            switches=used.ru_nvcsw + used.ru_nivcsw,
        )
        return usage, os.waitstatus_to_exitcode(status)


def measure(command: Sequence[str], core: int | None = None) -> Usage:
    """Runs `command` to its end, after a sync, so that it does not wait for earlier writes."""
    os.sync()
    return Child(command, core).wait()


def measure_output(
    command: Sequence[str], path: Path, core: int | None = None
) -> tuple[Usage, str]:
    """Like `measure`, and returns stdout, which goes through the file `path`."""
    os.sync()
    with path.open("wb") as file:
        usage = Child(command, core, file.fileno()).wait()
    return usage, path.read_text()


def peak_note() -> str:
    """States the smallest peak that can be measured."""
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MIB
    return f"A peak below {own:.0f} MiB, the memory of the scripts, cannot be measured."


def shell_line(command: Sequence[str]) -> str:
    """The command as typed at the root of the repository, with `PORT` for port numbers."""
    name, *arguments = command
    line = shlex.join([Path(name).name, *arguments]).replace(f"{ROOT}/", "")
    return re.sub(r"(127\.0\.0\.1):\d+", r"\1:PORT", line)
