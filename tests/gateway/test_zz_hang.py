"""hang-ups amid real work: is any database connection lost?"""
import asyncio, random, sys
import pytest
from gateway.app import create_app
from gateway.settings import GatewaySettings
from tests.gateway.standin import serving
from tests.town import Town, actor
import gateway.exchange as ex
async def test_hang(town: Town, monkeypatch):
    monkeypatch.setattr(ex, "_LOOK_SECONDS", 0.0005)
    app = create_app(GatewaySettings(keys_dir=town.keys_dir), town.directory)
    tok = town.token(actor("handler"))
    async with serving(app, proxy_headers=False, server_header=False) as port:
        async def one(k):
            r, w = await asyncio.open_connection("127.0.0.1", port)
            body = b'{"phone":"1000000%04d"}' % (k % 1000)
            if k % 2: w.write(b"POST /api/identity/otp HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nIdempotency-Key: k%d\r\nContent-Length: %d\r\n\r\n" % (k, len(body)) + body)
            else: w.write(f"GET /api/points/accounts?owner=me&ledger=staff HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {tok}\r\n\r\n".encode())
            await asyncio.sleep(random.random() * 0.05)
            w.close(); await asyncio.wait({asyncio.create_task(w.wait_closed())})
        for k in range(0, 300, 10):
            await asyncio.gather(*(one(k + i) for i in range(10)))
        await asyncio.sleep(1)
        print((await asyncio.to_thread(lambda: None)))
        r, w = await asyncio.open_connection("127.0.0.1", port)
        w.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); 
        print("\n".join(l for l in (await r.read()).decode().splitlines() if "requests_total" in l))
    for s in ("identity", "points"):
        print(s, town.db(s).engine.pool.status())
    import psycopg
    with psycopg.connect(town.database.admin_url) as c:
        print(c.execute("select state, count(*) from pg_stat_activity where datname=current_database() group by 1").fetchall())
