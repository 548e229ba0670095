"""A procrastinate job that does nothing. As a program: creates its tables if need be and defers that many."""

import asyncio
import os
import sys

from procrastinate import App, PsycopgConnector

app = App(connector=PsycopgConnector(conninfo=os.environ["DATABASE_URL"]), import_paths=["bench.peers.noop_procrastinate"])


@app.task(name="nothing")
async def nothing(number: int) -> None:
    """Do nothing."""
    del number


async def main(count: int) -> None:
    """Fill the queue."""
    async with app.open_async():
        tables = "SELECT to_regclass('procrastinate_jobs') IS NOT NULL AS there"
        if not (await app.connector.execute_query_one_async(tables))["there"]:
            await app.schema_manager.apply_schema_async()
        # Fewer statements than jobs, as the documentation advises.
        for start in range(0, count, 1000):
            await nothing.batch_defer_async(*({"number": n} for n in range(start, min(start + 1000, count))))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
