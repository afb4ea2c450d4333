"""Goal 6: time to start, size of the executable, and time to build it."""

import json
import os
import re
import shutil
import subprocess
from time import monotonic

from compare.figures import Figure, at_most, comparison_table, single, table
from compare.process import Child, MeasurementError
from compare.results import Section
from compare.settings import ROOT, Settings

STARTS = 50
HEAVIEST = 5
MEGABYTE = 1_000_000

TREE = ["cargo", "tree", "--locked", "-e", "normal", "--no-dedupe", "--prefix", "none"]
BUILD = ["cargo", "build", "--release", "--locked", "--timings", "--target-dir"]


def measure(settings: Settings) -> list[Section]:
    command = [str(settings.dingmap), "--version"]
    times = [Child(command, None).wait().wall * 1e3 for _ in range(STARTS)]
    stripped = settings.work / "stripped"
    subprocess.run(["strip", "-o", str(stripped), str(settings.dingmap)], check=True)
    size = stripped.stat().st_size / MEGABYTE
    rows = [
        single("`--version`, start to exit", Figure(times, "ms"), at_most(5, "ms")),
        single("executable without symbols", Figure([size], "MB"), at_most(15, "MB")),
        single("crates, dingmap included", Figure([_count_crates()], "")),
    ]
    notes = [
        f"Median of {STARTS} starts with files in the page cache, with the lowest and the highest "
        "in parentheses."
    ]
    strip, tree = "strip -o stripped target/release/dingmap", f"{' '.join(TREE)} | sort -u | wc -l"
    lines = ["dingmap --version", strip, tree]
    return [Section("size", "Start and size", comparison_table(rows), notes, lines)]


def measure_build(settings: Settings) -> Section:
    """One clean build, and the crates that take the longest."""
    target = settings.work / "clean"
    shutil.rmtree(target, ignore_errors=True)
    started = monotonic()
    subprocess.run([*BUILD, str(target)], cwd=ROOT, check=True)
    elapsed = monotonic() - started
    seconds = _seconds_by_crate((target / "cargo-timings/cargo-timing.html").read_text())
    shutil.rmtree(target)
    own = seconds.pop("dingmap")
    heaviest = sorted(seconds.items(), key=lambda crate: crate[1], reverse=True)[:HEAVIEST]
    others = sum(seconds.values()) - sum(time for _, time in heaviest)
    rows = [[f"`{name}`", f"{time:.1f} s"] for name, time in heaviest]
    rows += [["`dingmap` itself", f"{own:.1f} s"], ["all other crates", f"{others:.1f} s"]]
    notes = [
        f"A clean build takes {elapsed:.0f} s with {os.cpu_count()} cores. The table lists the "
        "slowest crates by compile time on one core, build scripts included, as reported by "
        "`cargo build --timings`."
    ]
    lines = [f"{' '.join(BUILD)} target/compare/clean"]
    return Section("build", "Build", table(["crate", "compile time"], rows), notes, lines)


def _count_crates() -> int:
    tree = subprocess.run(TREE, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return len(set(tree.splitlines()))


def _seconds_by_crate(page: str) -> dict[str, float]:
    """The sum of the durations of a crate's units, from the data in cargo's report."""
    found = re.search(r"const UNIT_DATA = (\[.*?\]);", page, re.DOTALL)
    if found is None:
        raise MeasurementError("no UNIT_DATA in cargo-timing.html")
    seconds: dict[str, float] = {}
    for unit in json.loads(found[1]):
        seconds[unit["name"]] = seconds.get(unit["name"], 0) + unit["duration"]
    return seconds
