"""A script with csv and aiohttp, as a good engineer would write it in an afternoon.

`python aiohttp_peer.py INPUT OUTPUT URL [CA_FILE]`: 64 tasks take rows; the output keeps their
order. It imports nothing from this package.
"""

import asyncio
import csv
import ssl
import sys
from collections.abc import Iterator
from typing import Any

import aiohttp

TASKS = 64

Row = list[str]


class OrderedWriter:
    """Writes rows in the order of their indices, whatever order they arrive in."""

    def __init__(self, writer: Any) -> None:
        self.writer = writer
        self.pending: dict[int, Row] = {}
        self.next = 0

    def put(self, index: int, row: Row) -> None:
        self.pending[index] = row
        while (ready := self.pending.pop(self.next, None)) is not None:
            self.writer.writerow(ready)
            self.next += 1


async def work(
    session: aiohttp.ClientSession,
    url: str,
    column: int,
    rows: Iterator[tuple[int, Row]],
    output: OrderedWriter,
) -> None:
    for index, row in rows:
        call = {"mobile": row[column], "support_exclusive_account_search": True}
        async with session.post(url, json=call) as reply:
            reply.raise_for_status()
            answer = await reply.json()
        userid = answer.get("result", {}).get("userid", "")
        output.put(index, [*row, userid, str(answer["errcode"]), answer["errmsg"]])


async def main(source: str, target: str, url: str, ca: str | None = None) -> None:
    with open(source, newline="") as read, open(target, "w", newline="") as written:
        reader, writer = csv.reader(read), csv.writer(written)
        header = next(reader)
        writer.writerow([*header, "userid", "errcode", "errmsg"])
        rows, output = enumerate(reader), OrderedWriter(writer)
        context = ssl.create_default_context(cafile=ca)
        connector = aiohttp.TCPConnector(limit=TASKS, ssl=context)
        async with aiohttp.ClientSession(connector=connector) as session:
            async with asyncio.TaskGroup() as group:
                for _ in range(TASKS):
                    group.create_task(work(session, url, header.index("mobile"), rows, output))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
