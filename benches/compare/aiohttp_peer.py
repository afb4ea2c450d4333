"""The peer that a good engineer would write in an afternoon: csv and aiohttp, 64 tasks that pull rows, order kept.

`python aiohttp_peer.py INPUT OUTPUT URL`. It is a program of its own and imports nothing of the comparison.
"""

import asyncio
import csv
import sys
from collections.abc import Iterator
from typing import Any

import aiohttp

TASKS = 64

Row = list[str]


class InOrder:
    """Writes rows in the order of their places, whatever order they come in."""

    def __init__(self, writer: Any) -> None:
        self.writer = writer
        self.waiting: dict[int, Row] = {}
        self.next = 0

    def put(self, place: int, row: Row) -> None:
        self.waiting[place] = row
        while (ready := self.waiting.pop(self.next, None)) is not None:
            self.writer.writerow(ready)
            self.next += 1


async def work(
    session: aiohttp.ClientSession, url: str, column: int, rows: Iterator[tuple[int, Row]], output: InOrder
) -> None:
    for place, row in rows:
        call = {"mobile": row[column], "support_exclusive_account_search": True}
        async with session.post(url, json=call) as reply:
            reply.raise_for_status()
            answer = await reply.json()
        userid = answer.get("result", {}).get("userid", "")
        output.put(place, [*row, userid, str(answer["errcode"]), answer["errmsg"]])


async def main(source: str, target: str, url: str) -> None:
    with open(source, newline="") as read, open(target, "w", newline="") as written:
        reader, writer = csv.reader(read), csv.writer(written)
        header = next(reader)
        writer.writerow([*header, "userid", "errcode", "errmsg"])
        rows, output = enumerate(reader), InOrder(writer)
        connector = aiohttp.TCPConnector(limit=TASKS)
        async with aiohttp.ClientSession(connector=connector) as session, asyncio.TaskGroup() as group:
            for _ in range(TASKS):
                group.create_task(work(session, url, header.index("mobile"), rows, output))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
