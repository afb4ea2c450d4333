"""Owns where things are and how much is measured: folders, executables, cores, numbers of runs and sizes."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# What `--quick` leaves of a size: enough to see that everything works.
QUICK_SHARE = 100


@dataclass(frozen=True)
class Setting:
    """What every part is given."""

    given: Path
    runs: int
    long_runs: int
    quick: bool

    @property
    def work(self) -> Path:
        """Where inputs, states and outputs are kept while they are needed."""
        work = ROOT / "target/compare/quick" if self.quick else ROOT / "target/compare"
        work.mkdir(parents=True, exist_ok=True)
        return work

    @property
    def dingmap(self) -> Path:
        """The executable that is measured, a copy of the one that was given."""
        return self.work / "dingmap"

    @property
    def page(self) -> Path:
        """The page with the results. Small sizes are no results."""
        return self.work / "RESULTS.md" if self.quick else ROOT / "benches/RESULTS.md"

    def rows(self, rows: int) -> int:
        """So many rows, or a small share of them."""
        return rows // QUICK_SHARE if self.quick else rows

    def seconds(self, seconds: int) -> int:
        """So long, or just long enough to see something."""
        return max(seconds // QUICK_SHARE, 2) if self.quick else seconds

    def peer(self, name: str) -> str:
        """A peer that cargo installed."""
        return str(ROOT / "target/peers/bin" / name)

    @property
    def python(self) -> str:
        """The interpreter that has aiohttp and matplotlib."""
        return sys.executable

    @property
    def server_core(self) -> int:
        """The core of servers, where a part pins them."""
        return min(os.sched_getaffinity(0))

    @property
    def client_core(self) -> int:
        """The core of dingmap and its peers, where a part pins them."""
        return sorted(os.sched_getaffinity(0))[1]
