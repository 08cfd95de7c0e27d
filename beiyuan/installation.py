"""What this installation consists of: its settings, its keys, its database, its services.

Everything a command needs to know about where it runs is worked out here, from the environment and the home folder.
"""

import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from pydantic import Field, SecretStr

from beiyuan.names import PROCESSES, SERVICES
from beiyuan.postgres import EmbeddedPostgres
from chassis.core import keys
from chassis.core.client import Directory
from chassis.core.settings import ProcessSettings, ServiceSettings
from gateway.settings import GatewaySettings
from services.points.merchants import platform
from services.points.seals import keys as seals

if TYPE_CHECKING:
    from fastapi import FastAPI

DATABASE = "beiyuan"
KEY_FILES = {platform.FILE: platform.create_platform_keys, seals.FILE: seals.create_seal_key}
"""Key files of the services' own, with what makes them."""


class AdminSettings(ProcessSettings):
    """What `up`, `migrate`, `demo`, `messages` and `doctor` read from the environment (`BEIYUAN_*`)."""

    admin_database_url: SecretStr | None = Field(
        default=None,
        description="A PostgreSQL server of your own, as a role that may create roles and schemas. "
        "Unset: the embedded PostgreSQL is used.",
    )
    demo: bool = Field(default=True, description="`up` loads the demo town into an empty database.")


class InstallationError(Exception):
    """Something about this installation must be put right first; the text says what and how."""


@dataclass(frozen=True)
class DatabaseUrls:
    """The addresses of one database: the administrator's, and each service's own."""

    admin: str
    services: Mapping[str, str]


@contextmanager
def own_database(settings: AdminSettings) -> Iterator[DatabaseUrls]:
    """The configured server's addresses, or those of the embedded one, which runs within this block.

    Raises PostgresError where the embedded one runs already, in another process.
    """
    if settings.admin_database_url is not None:
        yield DatabaseUrls(settings.admin_database_url.get_secret_value(), configured_service_urls())
        return
    with EmbeddedPostgres(settings.home / "postgres") as server:
        _create_database(server)
        passwords = _role_passwords(settings.home / "database-passwords.json")
        urls = DatabaseUrls(
            server.url(DATABASE),
            {name: server.url(DATABASE, user=f"beiyuan_{name}", password=passwords[name]) for name in SERVICES},
        )
        note = _running_note(settings)
        _write_secret(note, json.dumps({"admin": urls.admin, "services": urls.services}))
        try:
            yield urls
        finally:
            note.unlink(missing_ok=True)


@contextmanager
def any_database(settings: AdminSettings) -> Iterator[DatabaseUrls]:
    """The same, but where another process runs the embedded server, that one's addresses: for commands beside `up`."""
    if settings.admin_database_url is None and (running := running_database(settings)):
        yield running
        return
    with own_database(settings) as urls:
        yield urls


def running_database(settings: AdminSettings) -> DatabaseUrls | None:
    """The addresses of the embedded server that another process of this installation runs now, if one does."""
    try:
        noted = json.loads(_running_note(settings).read_text())
        with psycopg.connect(noted["admin"], connect_timeout=2):
            return DatabaseUrls(noted["admin"], noted["services"])
    except (OSError, ValueError, KeyError, psycopg.OperationalError):
        return None


def _running_note(settings: AdminSettings) -> Path:
    return settings.home / "running-database.json"


def configured_service_urls() -> dict[str, str]:
    """Each service's database address from its variable. Raises InstallationError naming the ones that are missing."""
    urls = {name: os.environ.get(database_variable(name), "") for name in SERVICES}
    if missing := [database_variable(name) for name, url in urls.items() if not url]:
        raise InstallationError(
            f"Set {', '.join(missing)} to the address that the service uses: postgresql://role:password@host/database. "
            "The role is created by `beiyuan migrate`, with that password."
        )
    return urls


def database_variable(service: str) -> str:
    """The variable that holds a service's database address."""
    return f"BEIYUAN_{service.upper()}_DATABASE_URL"


def create_keys(settings: ProcessSettings) -> list[Path]:
    """Make the key files that are missing in the keys folder; returns what was made."""
    return keys.create_key_files(settings.keys_path, processes=PROCESSES, data_services=SERVICES, further=KEY_FILES)


def service_settings(service: str, *, database_url: str | None = None, **values: object) -> ServiceSettings:
    """A service's settings: what is given here first, then the environment, then the defaults."""
    if database_url is not None:
        values[database_variable(service)] = database_url
    return _settings_class(service)(**values)  # type: ignore[arg-type]  # the classes differ in their fields


def settings_classes() -> list[type[ProcessSettings]]:
    """Every settings class there is: what the variables `BEIYUAN_*` may be."""
    return [AdminSettings, GatewaySettings, *(_settings_class(service) for service in SERVICES)]


def _settings_class(service: str) -> type[ServiceSettings]:
    kind: type[ServiceSettings] = getattr(
        import_module(f"services.{service}.settings"), f"{service.capitalize()}Settings"
    )
    return kind


def service_app(service: str, settings: ServiceSettings, directory: Directory, **options: object) -> "FastAPI":
    """A service's application; `options` are those of its own `create_app`."""
    app: FastAPI = import_module(f"services.{service}.app").create_app(settings, directory, **options)
    return app


def _create_database(server: EmbeddedPostgres) -> None:
    with psycopg.connect(server.url(), autocommit=True) as admin:
        if not admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
            admin.execute(f'CREATE DATABASE "{DATABASE}"')


def _role_passwords(path: Path) -> dict[str, str]:
    passwords: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    if missing := [name for name in SERVICES if name not in passwords]:
        passwords |= {name: secrets.token_urlsafe(24) for name in missing}
        _write_secret(path, json.dumps(passwords))
    return passwords


def _write_secret(path: Path, content: str) -> None:
    path.touch(mode=0o600)
    path.write_text(content)
