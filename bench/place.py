"""A points service to measure: its database, its keys, and itself behind the gateway, all for the moment."""

from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import psycopg
from fastapi import FastAPI
from sqlalchemy.engine import make_url

from beiyuan.installation import service_settings
from beiyuan.migrate import migrate
from beiyuan.postgres import EmbeddedPostgres
from beiyuan.process import listen, run
from chassis.core import keys
from chassis.core.actor import Actor
from chassis.core.client import Directory
from chassis.core.ids import new_id
from chassis.core.runtime import JWKS_PATH
from chassis.core.tokens import encode_access_token
from gateway.app import create_app
from gateway.settings import GatewaySettings
from services.points.app import create_app as create_points
from services.points.settings import PointsSettings

ENDLESS = 1_000_000_000


@dataclass(frozen=True)
class Place:
    """Where everything lies: the database as the points role sees it, the key files, and a folder."""

    url: str
    keys_dir: Path
    home: Path

    def token(self, role: str, *, person: UUID | None = None) -> str:
        """Somebody's access token."""
        key = keys.read_signing_keys(self.keys_dir / "access-tokens.json")[0]
        return encode_access_token(key, Actor(person or new_id(), frozenset({role}), None, None, None), seconds=3600)


def database(postgres: EmbeddedPostgres, name: str) -> str:
    """A new database with the points service's tables; its URL as the service's role."""
    with psycopg.connect(postgres.url(), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
    url = make_url(postgres.url(name)).set(username="beiyuan_points", password="bench")
    shown = url.render_as_string(hide_password=False)
    migrate(postgres.url(name), {"points": shown})
    return shown


def serve_service(port: int, place: Place) -> None:
    """Gateway and points service in one process, as `make run` has them, until ended."""
    directory = Directory({})
    settings = service_settings(
        "points",
        database_url=place.url,
        keys_dir=place.keys_dir,
        home=place.home,
        hand_posting_limit=ENDLESS,
        hand_posting_day_limit=ENDLESS,
        log_level="error",
    )
    assert isinstance(settings, PointsSettings)
    directory.host("identity", _jwks(place.keys_dir))
    points = create_points(settings, directory)
    directory.host("points", points)
    edge = GatewaySettings(
        keys_dir=place.keys_dir, home=place.home, limit_on_loopback=ENDLESS, body_bytes=8 << 20, log_level="error"
    )
    with listen("127.0.0.1", port, setting="the port") as listener:
        run(create_app(edge, directory), listener, edge, inside=[points])


def _jwks(keys_dir: Path) -> FastAPI:
    """What the identity service does for the others: it publishes the keys that tokens are checked with."""
    app = FastAPI()
    key = keys.read_signing_keys(keys_dir / "access-tokens.json")[0]

    @app.get(JWKS_PATH)
    async def published() -> dict[str, object]:
        return {"keys": [key.as_dict(private=False)]}

    return app
