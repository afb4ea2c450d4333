"""Owns the files that are read: distinct numbers in no order or in order, with repeats, and the answers to them.

A file is made once, row by row, and appears under its name when it is complete.
"""

from collections.abc import Iterable, Iterator
from math import gcd
from pathlib import Path

from compare.setting import Setting

# A prime above every size, so that the steps come to each remainder once.
PRIME = 79_999_987
STEP = 31_415_927

ANSWER = "manager4220,,found,0,ok"


def mobile(at: int) -> str:
    """The number at a place of the list in no order. The sandbox knows everybody whose number ends in 00 to 79."""
    return spelt(at * STEP % PRIME)


def spelt(number: int) -> str:
    """A valid number of the mainland, rising with `number`."""
    return f"139{number // 80:06}{number % 80:02}"


def distinct(setting: Setting, rows: int) -> Path:
    """Distinct numbers in no order."""
    return _table(setting, f"distinct-{rows}.csv", map(mobile, range(rows)))


def ordered(setting: Setting, rows: int) -> Path:
    """Distinct numbers in order."""
    return _table(setting, f"ordered-{rows}.csv", map(spelt, range(rows)))


def repeated(setting: Setting, rows: int, percent: int) -> Path:
    """Numbers in no order, so many in a hundred of which stood in an earlier row."""
    return _table(setting, f"repeats-{percent}-{rows}.csv", _repeats(rows, percent))


def answers(setting: Setting, rows: int) -> Path:
    """The answers to the distinct numbers as a table for joins, in another order than theirs."""
    if gcd(rows, STEP) != 1:
        raise ValueError(f"{STEP} steps do not come to each of {rows} rows")
    lines = (f"{mobile(at * STEP % rows)},{ANSWER}" for at in range(rows))
    return _file(setting, f"answers-{rows}.csv", "mobile,userid,exclusive,status,errcode,errmsg", lines)


def _repeats(rows: int, percent: int) -> Iterator[str]:
    new = 0
    for row in range(rows):
        # The first row of a hundred is new, as are the others at even distances.
        if row * (100 - percent) % 100 < 100 - percent:
            yield mobile(new)
            new += 1
        else:
            yield mobile(row * STEP % new)


def _table(setting: Setting, name: str, mobiles: Iterable[str]) -> Path:
    lines = (f"P{row},{mobile},Dept {row % 50}" for row, mobile in enumerate(mobiles))
    return _file(setting, name, "name,mobile,dept", lines)


def _file(setting: Setting, name: str, header: str, lines: Iterable[str]) -> Path:
    path = setting.work / name
    if not path.exists():
        unfinished = path.with_suffix(".part")
        with unfinished.open("w", encoding="ascii") as file:
            file.write(f"{header}\n")
            file.writelines(f"{line}\n" for line in lines)
        unfinished.rename(path)
    return path
