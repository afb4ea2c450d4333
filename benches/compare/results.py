"""Owns the page with the results. Each section stands between two markers, and only what is between them is replaced:
a part can be measured again alone, and the text that people write around the tables stays."""

import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from os import cpu_count, uname
from pathlib import Path

from compare.setting import ROOT

TITLE = "# dingmap against its peers\n"


@dataclass(frozen=True)
class Section:
    """What a part found: a table, how it was come by, and the command lines that were measured."""

    name: str
    title: str
    table: str
    notes: Sequence[str]
    commands: Sequence[str]


def write(page: Path, section: Section, measured: str) -> None:
    """Puts a section in its place, or at the end of the page if it has none, with what was measured and by what command."""
    text = page.read_text() if page.exists() else TITLE
    begin, end = (f"<!-- {section.name}: {edge} of what benches/compare.sh writes -->" for edge in ("begin", "end"))
    if begin not in text:
        text = f"{text.rstrip()}\n\n## {section.title}\n\n{begin}\n{end}\n"
    before, rest = text.split(begin)
    _, after = rest.split(end)
    page.write_text(f"{before}{begin}\n{_body(section, measured)}\n{end}{after}")


def _body(section: Section, measured: str) -> str:
    facts = f"{time.strftime('%Y-%m-%d')}, {measured}"
    commands = "\n".join(section.commands)
    return "\n\n".join([facts, section.table, *section.notes, f"```text\n{commands}\n```"])


def measured(command: str) -> str:
    """What is measured, where and by what command: to be asked at the beginning, since files may change meanwhile."""
    return f"commit {_commit()}, {_machine()}: `{command}`"


def _commit() -> str:
    """The commit, and whether files that are part of it were changed. The page and the curves change with every part."""
    commit = _git("rev-parse", "--short", "HEAD")
    parts = ["src", "Cargo.toml", "Cargo.lock", "benches", ":!benches/RESULTS.md", ":!benches/*.svg"]
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", *parts)
    return f"{commit} with changes" if changed else commit


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def _machine() -> str:
    processors = Path("/proc/cpuinfo").read_text().splitlines()
    model = next(line.split(":")[1].strip() for line in processors if line.startswith("model name"))
    return f"{model} with {cpu_count()} cores, {uname().sysname} {uname().release}"
