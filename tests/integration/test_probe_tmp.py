import asyncio, sys, os
from tests.integration.events.test_feed import *
import pytest
def dump():
    for t in asyncio.all_tasks():
        print("=====", str(t)[:300], file=sys.stderr)
        c = t.get_coro()
        while c is not None:
            fr = getattr(c, "cr_frame", None) or getattr(c, "gi_frame", None) or getattr(c,"ag_frame",None)
            print("   ", str(c)[:80], fr and (fr.f_code.co_filename.split("site-packages/")[-1], fr.f_lineno), file=sys.stderr)
            c = getattr(c, "cr_await", None) or getattr(c, "gi_yieldfrom", None) or getattr(c, "ag_await", None)
@pytest.mark.parametrize("n", range(12))
async def test_it(database, n):
    pool = await open_pool(database.service_url)
    async def dog():
        await asyncio.sleep(15)
        dump(); sys.stderr.flush(); os._exit(3)
    d = asyncio.create_task(dog())
    admin = await asyncpg.connect(database.admin_url)
    async with following(pool) as feed:
        writer = AppendWriter(pool, on_appended=feed.appended)
        follower = asyncio.create_task(collect(feed, 0, 30))
        for _ in range(10):
            await writer.append(request("report-1"))
        ended = await admin.fetchval(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        await asyncio.sleep(n * 0.003)
        print("leaving", ended, file=sys.stderr)
    print("left", file=sys.stderr)
    await pool.close()
    print("closed", file=sys.stderr)
    await admin.close()
    d.cancel(); follower.cancel()
