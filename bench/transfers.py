"""What posting costs: transfers over HTTP through the gateway, one by one and in batches, beside what FastAPI and
PostgreSQL do alone in the same run.

Run with `python -m bench.transfers [--seconds 3]`; it takes some fifteen times that. Gateway and points service are one
process (as `make run` has it), PostgreSQL, the load generator and the floors share the machine with it. Nothing is
compared but what was measured in the same run.
"""

import argparse
import asyncio
import itertools
import json
import random
import statistics
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import uvicorn
from fastapi import FastAPI
from pydantic import TypeAdapter

from beiyuan.installation import KEY_FILES
from beiyuan.postgres import EmbeddedPostgres
from bench import floors
from bench.load import Server, load, request, running
from bench.place import Place, database, serve_service
from bench.results import Figure
from chassis.core import keys
from chassis.core.ids import new_id
from services.points.postings.answers import PostedOut
from services.points.postings.schemas import TransferIn

CONNECTIONS = 64
ACCOUNTS = 2000
BATCH = 1000
ROUNDS = 3
PATH = "/api/points/transfers"


def serve_floor(port: int, answer: bytes) -> None:
    """A FastAPI route that parses the same body and answers with the same one, and does nothing."""
    app = FastAPI()
    same = TypeAdapter(PostedOut).validate_json(answer)

    @app.post(PATH, status_code=201)
    async def transfer(body: TransferIn) -> PostedOut:
        return same

    uvicorn.run(app, port=port, log_level="error", access_log=False, loop="uvloop")


def open_accounts(url: str) -> list[UUID]:
    """Wallets with a lot each, larger than any run can spend, as if they had been granted it."""
    ids = [new_id() for _ in range(ACCOUNTS)]
    much = 1_000_000_000
    with psycopg.connect(url, options="-c search_path=points") as connection:
        [bank] = connection.execute(
            "INSERT INTO account (id, ledger, owner_kind, owner_id, purpose, balance, held, debt, version, opened_at)"
            " VALUES (%s, 'civic', 'system', %s, 'issuance', %s, 0, 0, %s, '2026-01-01Z') RETURNING id",
            [new_id(), new_id(), -much * ACCOUNTS, ACCOUNTS],
        ).fetchone() or [None]
        cursor = connection.cursor()
        cursor.executemany(
            "INSERT INTO account"
            " (id, ledger, owner_kind, owner_id, purpose, floor, balance, held, debt, version, opened_at)"
            " VALUES (%s, 'civic', 'household', %s, 'wallet', 0, %s, 0, 0, 1, '2026-01-01Z')",
            [(id_, id_, much) for id_ in ids],
        )
        for number, id_ in enumerate(ids, 1):
            transfer = new_id()
            cursor.execute(
                f"INSERT INTO transfer ({floors.COLUMNS})"
                " VALUES (%s, 'civic', %s, %s, %s, %s, %s, 1, %s, %s, 'adjustment', %s, '2026-01-01Z', '2026-01-01Z')",
                [transfer, number, bank, number, -much * number, id_, much, much, f"bench/{number}"],
            )
            cursor.execute(
                "INSERT INTO lot (id, sequence, account_id, expires_at, amount, free, held)"
                " VALUES (%s, %s, %s, '2099-01-01Z', %s, %s, 0)",
                [transfer, number, id_, much, much],
            )
        cursor.execute("UPDATE ledger SET last_sequence = %s WHERE name = 'civic'", [ACCOUNTS])
    return ids


class Bodies:
    """What is asked: a point from one of the first half of the accounts (or from one alone) to one of the second."""

    def __init__(self, accounts: list[UUID], token: str) -> None:
        half = len(accounts) // 2
        self.payers, self.payees, self.token = accounts[:half], accounts[half:], token
        self.numbers = itertools.count()
        self.dice = random.Random(1)

    def single(self, *, hot: bool) -> Callable[[], bytes]:
        """One transfer a request."""
        return lambda: self._request(PATH, self._move(hot) | self._why())

    def batch(self) -> bytes:
        """A thousand in a request."""
        body = {"atomic": False, "transfers": [self._move(hot=False) for _ in range(BATCH)]} | self._why()
        return self._request(f"{PATH}/batch", body)

    def _move(self, hot: bool) -> dict[str, Any]:
        payer = self.payers[0] if hot else self.dice.choice(self.payers)
        return {"debit": str(payer), "credit": str(self.dice.choice(self.payees)), "amount": 1}

    def _request(self, path: str, body: dict[str, Any]) -> bytes:
        key = f"bench-{next(self.numbers)}"
        return request("POST", path, json.dumps(body).encode(), token=self.token, key=key)

    def _why(self) -> dict[str, str]:
        return {"reason": "a measurement"}


def measure(seconds: float) -> Iterator[Figure]:
    """Every figure with its floors, ROUNDS times by turns; medians, and how far the rounds lie apart."""
    with tempfile.TemporaryDirectory() as folder, EmbeddedPostgres(Path(folder) / "postgres") as postgres:
        database(postgres, "floors")
        place = Place(database(postgres, "ledger"), Path(folder) / "keys", Path(folder))
        keys.create_key_files(
            place.keys_dir, processes=["gateway", "points", "identity"], data_services=["points"], further=KEY_FILES
        )
        bodies = Bodies(open_accounts(postgres.url("ledger")), place.token("administrator"))
        floor_url = postgres.url("floors")
        with psycopg.connect(floor_url, options="-c search_path=points", autocommit=True) as connection:
            connection.execute(floors.PREPARE)
        with running(serve_service, place) as points:
            answer = asyncio.run(_one_answer(points, bodies))
            with running(serve_floor, answer) as bare:
                rounds = [_round(points, bare, bodies, floor_url, seconds) for _ in range(ROUNDS)]
    yield from _figures(rounds)


def _round(points: Server, bare: Server, bodies: Bodies, floor_url: str, seconds: float) -> dict[str, float]:
    whole = max(1, round(seconds))

    def rate(server: Server, requests: Callable[[], bytes], connections: int = CONNECTIONS) -> float:
        return asyncio.run(load(server, seconds, requests, connections=connections)).a_second

    return {
        "bare": rate(bare, bodies.single(hot=False)),
        "uniform": rate(points, bodies.single(hot=False)),
        "hot": rate(points, bodies.single(hot=True)),
        "batch": BATCH * rate(points, bodies.batch, 4),
        "naive": floors.naive(floor_url, clients=16, seconds=whole, hot=False),
        "naive hot": floors.naive(floor_url, clients=16, seconds=whole, hot=True),
        "ceiling": floors.ceiling(floor_url, seconds=whole),
    }


def _figures(rounds: list[dict[str, float]]) -> Iterator[Figure]:
    def figure(what: str, of: str, floor: str, floor_name: str, wanted: float) -> Figure:
        ratios = [one[of] / one[floor] for one in rounds]
        return Figure(
            what,
            measured=statistics.median(one[of] for one in rounds),
            unit="transfers/s",
            floor=floor_name,
            floor_measured=statistics.median(one[floor] for one in rounds),
            ratio=statistics.median(ratios),
            spread=(min(ratios), max(ratios)),
            wanted=f"at least {wanted:.2f}",
            reached=statistics.median(ratios) >= wanted,
        )

    yield figure(
        f"POST {PATH} through the gateway, one process, {CONNECTIONS} connections, uniform accounts",
        "uniform",
        "bare",
        "a FastAPI route that only parses and answers the same bodies",
        0.5,
    )
    yield figure("the same, one hot account in all of them", "hot", "uniform", "the uniform figure", 0.9)
    yield figure("the same, one hot account in all of them", "hot", "naive hot", "pgbench: six statements, hot", 1.0)
    yield figure("uniform accounts", "uniform", "naive", "pgbench: six statements, uniform (for comparison)", 0.0)
    yield figure(
        f"batches of {BATCH} through the gateway", "batch", "ceiling", "pgbench: sets of 500 behind one lock", 0.35
    )


async def _one_answer(server: Server, bodies: Bodies) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(bodies.single(hot=False)())
    head = await reader.readuntil(b"\r\n\r\n")
    body = await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
    writer.close()
    if not head.startswith(b"HTTP/1.1 201"):
        raise RuntimeError((head + body).decode())
    return body


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="length of one run")
    for figure in measure(parser.parse_args().seconds):
        print(figure)


if __name__ == "__main__":
    main()
