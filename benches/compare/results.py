"""The page with the results.

Each section is between two markers, and only the text between them is replaced: one part can be
measured again, and what people write around the tables stays.
"""

import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from os import cpu_count, uname
from pathlib import Path

from compare.settings import ROOT

TITLE = "# dingmap compared with other programs\n"


@dataclass(frozen=True)
class Section:
    """A table, notes on how it was measured, and the commands that were measured."""

    name: str
    title: str
    table: str
    notes: Sequence[str]
    commands: Sequence[str]


def write(page: Path, section: Section, origin: str) -> None:
    """Replaces a section, or appends it to the page. `origin` is what `describe_origin` returns."""
    text = page.read_text() if page.exists() else TITLE
    begin = f"<!-- {section.name}: begin of what benches/compare.sh writes -->"
    end = f"<!-- {section.name}: end of what benches/compare.sh writes -->"
    if begin not in text:
        text = f"{text.rstrip()}\n\n## {section.title}\n\n{begin}\n{end}\n"
    before, old = text.split(begin)
    _, after = old.split(end)
    page.write_text(f"{before}{begin}\n{_body(section, origin)}\n{end}{after}")


def _body(section: Section, origin: str) -> str:
    heading = f"{time.strftime('%Y-%m-%d')}, {origin}"
    commands = "\n".join(section.commands)
    return "\n\n".join([heading, section.table, *section.notes, f"```text\n{commands}\n```"])


def describe_origin(command: str) -> str:
    """The commit, the machine and the command. Call it first: files may change during a run."""
    return f"commit {_commit()}, {_machine()}: `{command}`"


def _commit() -> str:
    """The commit, and whether its files were changed, except those that this package writes."""
    commit = _git("rev-parse", "--short", "HEAD")
    paths = ["src", "Cargo.toml", "Cargo.lock", "benches"]
    paths += [":!benches/RESULTS.md", ":!benches/*.svg"]
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", *paths)
    return f"{commit} with changes" if changed else commit


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    return f"{model} with {cpu_count()} cores, {uname().sysname} {uname().release}"
