"""Owns goal 6: how soon the program is there, how large it is, and what building it takes."""

import json
import os
import re
import shutil
import subprocess
from time import monotonic

from compare.figures import Figure, alone, at_most, comparison, table
from compare.process import Child, Failed
from compare.results import Section
from compare.setting import ROOT, Setting

STARTS = 50
HEAVIEST = 5
MEGABYTE = 1_000_000

TREE = ["cargo", "tree", "--locked", "-e", "normal", "--no-dedupe", "--prefix", "none"]
BUILD = ["cargo", "build", "--release", "--locked", "--timings", "--target-dir"]


def measure(setting: Setting) -> list[Section]:
    words = [str(setting.dingmap), "--version"]
    took = [Child(words, None).wait().wall * 1e3 for _ in range(STARTS)]
    stripped = setting.work / "stripped"
    subprocess.run(["strip", "-o", str(stripped), str(setting.dingmap)], check=True)
    size = stripped.stat().st_size / MEGABYTE
    rows = [
        alone("`--version`, start to end", Figure(took, "ms"), at_most(5, "ms")),
        alone("executable without symbols", Figure([size], "MB"), at_most(15, "MB")),
        alone("crates, itself among them", Figure([_crates()], "")),
    ]
    notes = [f"{STARTS} starts with warm files: the median, the lowest and the highest."]
    commands = ["dingmap --version", "strip -o stripped target/release/dingmap", f"{' '.join(TREE)} | sort -u | wc -l"]
    return [Section("size", "Start and size", comparison(rows), notes, commands)]


def measure_build(setting: Setting) -> Section:
    """One build from nothing, and which crates it spends its time on."""
    target = setting.work / "clean"
    shutil.rmtree(target, ignore_errors=True)
    begun = monotonic()
    subprocess.run([*BUILD, str(target)], cwd=ROOT, check=True)
    took = monotonic() - begun
    by_crate = _seconds_by_crate((target / "cargo-timings/cargo-timing.html").read_text())
    shutil.rmtree(target)
    own = by_crate.pop("dingmap")
    heaviest = sorted(by_crate.items(), key=lambda crate: crate[1], reverse=True)[:HEAVIEST]
    rows = [[f"`{name}`", f"{seconds:.1f} s"] for name, seconds in heaviest]
    rows += [["`dingmap` itself", f"{own:.1f} s"], ["all other crates", f"{_rest(by_crate, heaviest):.1f} s"]]
    notes = [
        f"A build of everything from nothing takes {took:.0f} s with {os.cpu_count()} cores. The table has the "
        "heaviest crates by the time of a core that the compiler spends on them, build scripts and their runs with it, "
        "as cargo's own timings tell it."
    ]
    return Section(
        "build", "Build", table(["crate", "compiling"], rows), notes, [f"{' '.join(BUILD)} target/compare/clean"]
    )


def _crates() -> int:
    """How many crates the program is built from, itself among them."""
    tree = subprocess.run(TREE, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return len(set(tree.splitlines()))


def _seconds_by_crate(page: str) -> dict[str, float]:
    """The sum over a crate's units of the time that each took, from the data within cargo's page."""
    found = re.search(r"const UNIT_DATA = (\[.*?\]);", page, re.DOTALL)
    if found is None:
        raise Failed("cargo's timings have another form")
    seconds: dict[str, float] = {}
    for unit in json.loads(found[1]):
        seconds[unit["name"]] = seconds.get(unit["name"], 0) + unit["duration"]
    return seconds


def _rest(by_crate: dict[str, float], heaviest: list[tuple[str, float]]) -> float:
    return sum(by_crate.values()) - sum(seconds for _, seconds in heaviest)
