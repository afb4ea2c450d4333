"""Generated tables: distinct numbers, shuffled or sorted, repeated numbers, and their answers.

A file is made once and gets its name when it is complete.
"""

from collections.abc import Iterable, Iterator
from math import gcd
from pathlib import Path

from compare.settings import Settings

# A prime above every size: multiples of STEP modulo PRIME visit each remainder once.
PRIME = 79_999_987
STEP = 31_415_927

ANSWER = "manager4220,,found,0,ok"


def shuffled_number(index: int) -> str:
    """The number at `index` of the shuffled list."""
    return sorted_number(index * STEP % PRIME)


def sorted_number(index: int) -> str:
    """The number at `index` of the sorted list. The sandbox finds users for endings 00 to 79."""
    return f"139{index // 80:06}{index % 80:02}"


def distinct(settings: Settings, rows: int) -> Path:
    """Distinct numbers, shuffled."""
    return _table(settings, f"distinct-{rows}.csv", map(shuffled_number, range(rows)))


def ordered(settings: Settings, rows: int) -> Path:
    """Distinct numbers, sorted."""
    return _table(settings, f"ordered-{rows}.csv", map(sorted_number, range(rows)))


def repeated(settings: Settings, rows: int, percent: int) -> Path:
    """Shuffled numbers, `percent` of which occur in an earlier row."""
    return _table(settings, f"repeats-{percent}-{rows}.csv", _repeats(rows, percent))


def answers(settings: Settings, rows: int) -> Path:
    """The answers to the distinct numbers as a table for joins, in another order."""
    if gcd(rows, STEP) != 1:
        raise ValueError(f"multiples of {STEP} do not visit each of {rows} rows")
    lines = (f"{shuffled_number(index * STEP % rows)},{ANSWER}" for index in range(rows))
    header = "mobile,userid,exclusive,status,errcode,errmsg"
    return _file(settings, f"answers-{rows}.csv", header, lines)


def _repeats(rows: int, percent: int) -> Iterator[str]:
    count = 0
    for row in range(rows):
        # Of 100 rows the first is new, and the other new ones follow at even distances.
        if row * (100 - percent) % 100 < 100 - percent:
            yield shuffled_number(count)
            count += 1
        else:
            yield shuffled_number(row * STEP % count)


def _table(settings: Settings, name: str, numbers: Iterable[str]) -> Path:
    lines = (f"P{row},{number},Dept {row % 50}" for row, number in enumerate(numbers))
    return _file(settings, name, "name,mobile,dept", lines)


def _file(settings: Settings, name: str, header: str, lines: Iterable[str]) -> Path:
    path = settings.work / name
    if not path.exists():
        unfinished = path.with_suffix(".part")
        with unfinished.open("w", encoding="ascii") as file:
            file.write(f"{header}\n")
            file.writelines(f"{line}\n" for line in lines)
        unfinished.rename(path)
    return path
