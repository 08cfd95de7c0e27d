"""Brings a database to the present: each service's schema and role, then its migrations.

Tables belong to the administrator; a service's role may read and write its own schema's rows and reach nothing else.
"""

from collections.abc import Mapping
from pathlib import Path

from alembic import command
from alembic.config import Config
from psycopg import sql
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.engine import URL, make_url

from beiyuan.names import SERVICES

MIGRATIONS = Path(__file__).resolve().parent.parent / "migrations"
_LOCK = "beiyuan.migrate"


def migrate(admin_url: str, service_urls: Mapping[str, str]) -> None:
    """Create what is missing and run every outstanding migration. May be run again at any time, and by several at once.

    `service_urls` are the addresses that the services will use; their user names and passwords are what the roles get.
    """
    admin = create_engine(_driver(admin_url), isolation_level="AUTOCOMMIT")
    try:
        with admin.connect() as connection:
            connection.execute(text("SELECT pg_advisory_lock(hashtextextended(:lock, 0))"), {"lock": _LOCK})
            for service, url in service_urls.items():
                _prepare(connection, service, make_url(url))
                with _schema_connection(admin_url, service) as (config, migrating):
                    command.upgrade(config, "head")
                    migrating.commit()
    finally:
        admin.dispose()


def check(admin_url: str) -> list[str]:
    """What `alembic check` says: per service, how its tables in the code differ from its migrations."""
    differences = []
    for service in SERVICES:
        try:
            with _schema_connection(admin_url, service) as (config, _):
                command.check(config)
        except Exception as error:
            differences.append(f"{service}: {error}")
    return differences


def alembic_config(service: str) -> Config:
    """Alembic's settings for one service's migrations."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("version_locations", str(MIGRATIONS / service / "versions").replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    return config


class _schema_connection:  # noqa: N801  # reads as a verb where it is used
    """A connection of the administrator's whose unqualified names mean one service's schema, and alembic's settings."""

    def __init__(self, admin_url: str, service: str) -> None:
        self.engine = create_engine(_driver(admin_url), connect_args={"options": f"-c search_path={service}"})
        self.service = service

    def __enter__(self) -> tuple[Config, Connection]:
        self.connection = self.engine.connect()
        config = alembic_config(self.service)
        config.attributes.update(service=self.service, connection=self.connection)
        return config, self.connection

    def __exit__(self, *_: object) -> None:
        self.connection.close()
        self.engine.dispose()


def _prepare(connection: Connection, service: str, url: URL) -> None:
    """The schema, the role and its privileges. DDL takes no parameters, so names and password are quoted by psycopg."""
    schema, role = sql.Identifier(service), sql.Identifier(url.username or f"beiyuan_{service}")
    exists = connection.scalar(text("SELECT 1 FROM pg_roles WHERE rolname = :name"), {"name": url.username})
    login = sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}" if exists else "CREATE ROLE {} LOGIN PASSWORD {}")
    statements = [
        login.format(role, sql.Literal(str(url.password or ""))),
        sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(schema),
        sql.SQL("REVOKE ALL ON SCHEMA {} FROM PUBLIC").format(schema),
        sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(schema, role),
        sql.SQL("ALTER DEFAULT PRIVILEGES IN SCHEMA {} GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {}").format(
            schema, role
        ),
        sql.SQL("ALTER DEFAULT PRIVILEGES IN SCHEMA {} GRANT USAGE, SELECT ON SEQUENCES TO {}").format(schema, role),
        sql.SQL("REVOKE ALL ON SCHEMA public FROM PUBLIC"),
    ]
    driver = connection.connection.driver_connection
    assert driver is not None
    for statement in statements:
        driver.execute(statement)


def _driver(url: str) -> URL:
    return make_url(url).set(drivername="postgresql+psycopg")
