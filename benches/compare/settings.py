"""Paths, executables, CPU cores, numbers of runs and sizes."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# `--quick` divides sizes by this: enough to test the scripts.
QUICK_DIVISOR = 100


@dataclass(frozen=True)
class Settings:
    """The options of this invocation."""

    executable: Path
    runs: int
    long_runs: int
    quick: bool

    @property
    def work(self) -> Path:
        """The directory for inputs, state files and outputs."""
        work = ROOT / "target/compare/quick" if self.quick else ROOT / "target/compare"
        work.mkdir(parents=True, exist_ok=True)
        return work

    @property
    def dingmap(self) -> Path:
        """The executable that is measured: a copy of the one passed in."""
        return self.work / "dingmap"

    @property
    def page(self) -> Path:
        """The page with the results. Figures of `--quick` go to a page that is not committed."""
        return self.work / "RESULTS.md" if self.quick else ROOT / "benches/RESULTS.md"

    def rows(self, rows: int) -> int:
        """The number of rows to use in place of `rows`."""
        return rows // QUICK_DIVISOR if self.quick else rows

    def seconds(self, seconds: int) -> int:
        """The duration to use in place of `seconds`, at least 2."""
        return max(seconds // QUICK_DIVISOR, 2) if self.quick else seconds

    def peer(self, name: str) -> str:
        """The path of a program that cargo installed."""
        return str(ROOT / "target/peers/bin" / name)

    @property
    def python(self) -> str:
        """The interpreter that has aiohttp and matplotlib."""
        return sys.executable

    @property
    def server_core(self) -> int:
        """The core for servers, in parts that pin processes."""
        return min(os.sched_getaffinity(0))

    @property
    def client_core(self) -> int:
        """The core for dingmap and the other clients, in parts that pin processes."""
        return sorted(os.sched_getaffinity(0))[1]
