"""Puts the demo town into the services' databases, through the services' own actions and with their own rights."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import psycopg

from beiyuan.demo import town
from beiyuan.demo.load_people import load_people
from beiyuan.demo.load_places import load_places
from beiyuan.demo.load_points import load_points
from beiyuan.demo.merchant_keys import merchant_keys
from beiyuan.demo.play import play
from beiyuan.demo.play_activities import play_activities
from beiyuan.installation import AdminSettings, DatabaseUrls, service_app, service_settings
from chassis.core import clock
from chassis.core.beijing import day_of
from chassis.core.client import Directory
from chassis.core.runtime import Runtime

_LOCK = "beiyuan.demo.load"
FOUNDED = timedelta(days=60)
"""How long ago the town's people and places were recorded."""


def load(settings: AdminSettings, urls: DatabaseUrls) -> bool:
    """Write what is missing of the demo town; False if nothing was.

    Each part is one transaction that writes only what is not there: done again it adds nothing, and what was
    interrupted is completed. Only one load at a time goes on in a database; another waits for it.
    """
    return asyncio.run(_load(settings, urls))


async def _load(settings: AdminSettings, urls: DatabaseUrls) -> bool:
    now = clock.now()
    mchids = [merchant.mchid for merchant in town.MERCHANTS.values()]
    keys = await asyncio.to_thread(merchant_keys, settings.home, mchids)
    written = []
    async with _alone(urls.admin), _service("identity", settings, urls) as identity:
        with clock.frozen(now - FOUNDED):
            written.append(await load_people(identity, day_of(now)))
        async with _service("orders", settings, urls) as orders:
            with clock.frozen(now - FOUNDED):
                written.append(await load_places(orders))
            written.append(await play(orders, now))
        async with _service("events", settings, urls) as events:
            written.append(await play_activities(events, identity, now))
        async with _service("points", settings, urls) as points:
            written.append(await load_points(points, keys, now))
    return any(written)


@asynccontextmanager
async def _alone(admin_url: str) -> AsyncIterator[None]:
    connection = await psycopg.AsyncConnection.connect(admin_url, autocommit=True)
    async with connection:
        await connection.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", [_LOCK])
        yield


@asynccontextmanager
async def _service(name: str, settings: AdminSettings, urls: DatabaseUrls) -> AsyncIterator[Runtime]:
    """What a service's process holds, without its background work."""
    own = service_settings(
        name, database_url=urls.services[name], home=settings.home, keys_dir=settings.keys_path, db_pool_size=2
    )
    runtime: Runtime = service_app(name, own, Directory()).state.runtime
    try:
        yield runtime
    finally:
        await runtime.client.aclose()
        await runtime.db.dispose()
