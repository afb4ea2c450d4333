"""The command line: which parts to measure, and how often. Writes each part when it is done."""

import argparse
import os
import shlex
import shutil
import signal
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from compare import calls, growth, known, memory, plan, quota, results, size
from compare.process import MeasurementError
from compare.settings import ROOT, Settings

PARTS: dict[str, Callable[[Settings], Iterable[results.Section]]] = {
    "calls": calls.measure,
    "known": known.measure,
    "memory": memory.measure,
    "quota": quota.measure,
    "plan": plan.measure,
    "size": size.measure,
    "growth": growth.measure,
}


def main() -> None:
    options = _parse()
    executable = Path(os.environ["DINGMAP"])
    settings = Settings(
        executable=executable,
        runs=1 if options.quick else options.runs,
        long_runs=1 if options.quick else options.long_runs,
        quick=options.quick,
    )
    command = shlex.join(["benches/compare.sh", *sys.argv[1:]])
    if executable != ROOT / "target/release/dingmap":
        # Another executable may have been built from another commit.
        command = f"DINGMAP=FILE {command}"
    # A copy, because a build may replace the original during hours of measuring.
    shutil.copy2(executable, settings.dingmap)
    # Stops the servers, as Ctrl-C does.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(128 + signal.SIGTERM))
    try:
        _measure(settings, options.parts, results.describe_origin(command))
    except MeasurementError as error:
        sys.exit(f"benches/compare.sh: {error}")
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="benches/compare.sh", description="Compares dingmap with other programs."
    )
    parts, of_ten_million = ", ".join(PARTS), "the same for ten million rows with calls"
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"any of {parts} [default: all]")
    parser.add_argument("--runs", type=_count, default=5, help="number of runs [default: 5]")
    parser.add_argument(
        "--long-runs", type=_count, default=1, help=f"{of_ten_million} [default: 1]"
    )
    quick = "test the scripts: one run with small inputs; RESULTS.md is not changed"
    parser.add_argument("--quick", action="store_true", help=quick)
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"unknown part: {', '.join(sorted(unknown))}")
    return options


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"invalid number of runs '{text}': at least 1")
    return int(text)


def _measure(settings: Settings, parts: list[str], origin: str) -> None:
    for part in parts or PARTS:
        print(f"{part} …", file=sys.stderr)
        for section in PARTS[part](settings):
            results.write(settings.page, section, origin)
    # A clean build takes minutes even with --quick, so it is timed only if `size` is named.
    if "size" in parts and not settings.quick:
        results.write(settings.page, size.measure_build(settings), origin)
    print(f"results written to {settings.page}", file=sys.stderr)


if __name__ == "__main__":
    main()
