"""Owns the command line of the comparison: which parts are measured, how often, and that each is written at its end."""

import argparse
import os
import shlex
import shutil
import signal
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from compare import calls, growth, known, memory, plan, quota, results, size
from compare.process import Failed
from compare.setting import ROOT, Setting

PARTS: dict[str, Callable[[Setting], Iterable[results.Section]]] = {
    "calls": calls.measure,
    "known": known.measure,
    "memory": memory.measure,
    "quota": quota.measure,
    "plan": plan.measure,
    "size": size.measure,
    "growth": growth.measure,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="benches/compare.sh", description="Measures dingmap against its peers.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"any of {', '.join(PARTS)} [default: all]")
    parser.add_argument("--runs", type=_runs, default=5, help="how many runs the medians are of [default: 5]")
    parser.add_argument(
        "--long-runs", type=_runs, default=1, help="the same for ten million rows that ask a server [default: 1]"
    )
    parser.add_argument("--quick", action="store_true", help="try the harness: one run, small sizes, no results")
    typed = parser.parse_args()
    if unknown := set(typed.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    given = Path(os.environ["DINGMAP"])
    setting = Setting(
        given=given,
        runs=1 if typed.quick else typed.runs,
        long_runs=1 if typed.quick else typed.long_runs,
        quick=typed.quick,
    )
    command = shlex.join(["benches/compare.sh", *sys.argv[1:]])
    if given != ROOT / "target/release/dingmap":
        # Another executable may be of another commit.
        command = f"DINGMAP=FILE {command}"
    # Whatever is built while hours of measuring go on, it is this executable that is measured.
    shutil.copy2(given, setting.dingmap)
    # As by Ctrl-C: servers are ended on the way out.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(128 + signal.SIGTERM))
    try:
        _measure(setting, typed.parts, results.measured(command))
    except Failed as failed:
        sys.exit(f"benches/compare.sh: {failed}")
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


def _runs(text: str) -> int:
    """A number of runs: a median needs one at least."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1")
    return int(text)


def _measure(setting: Setting, named: list[str], measured: str) -> None:
    for part in named or PARTS:
        print(f"{part} …", file=sys.stderr)
        for section in PARTS[part](setting):
            results.write(setting.page, section, measured)
    # A clean build takes minutes and cannot be a small one, so it is timed for those who ask for it.
    if "size" in named and not setting.quick:
        results.write(setting.page, size.measure_build(setting), measured)
    print(f"written to {setting.page}", file=sys.stderr)


if __name__ == "__main__":
    main()
