"""`beiyuan doctor`: what is missing or wrong, in plain words, with the remedy."""

import os
import shutil
import socket
import stat
import sys
from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple

import psycopg
from alembic.script import ScriptDirectory
from pydantic_settings import BaseSettings

from beiyuan import deliveries, failed_jobs
from beiyuan.installation import (
    AdminSettings,
    InstallationError,
    configured_service_urls,
    running_database,
    settings_classes,
)
from beiyuan.migrate import alembic_config
from beiyuan.names import PROCESSES, SERVICES
from beiyuan.postgres import PostgresError, find_binaries, fitting_binaries
from chassis.core import clock, keys
from chassis.core.clocks import CLOCKS_APART
from chassis.core.keys import KeysMissing
from chassis.core.workdays import LAST_YEAR
from gateway.settings import GatewaySettings

_LITTLE_SPACE_BYTES = 1 << 30


class Finding(NamedTuple):
    """One thing looked at: `ok`, worth a `note`, or `bad`; and what to do about it."""

    level: Literal["ok", "note", "bad"]
    text: str
    remedy: str = ""


def examine(settings: AdminSettings) -> Iterator[Finding]:
    """Look at everything in turn. A look that itself fails is a finding."""
    looks: list[Callable[[AdminSettings], Iterator[Finding]]] = [
        _python,
        _variables,
        _home,
        _port,
        _keys,
        _postgres_programs,
        _database,
        _calendar,
        _browser,
    ]
    for look in looks:
        try:
            yield from look(settings)
        except Exception as error:  # a doctor who faints helps nobody
            yield Finding("bad", f"Looking at {look.__name__.strip('_')} failed: {type(error).__name__}: {error}")


def _python(_: AdminSettings) -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    yield Finding("ok", f"Python {version}")


def _variables(_: AdminSettings) -> Iterator[Finding]:
    known = {"BEIYUAN_PG_BIN"} | {name for kind in settings_classes() for name in _variable_names(kind)}
    for name in sorted(name for name in os.environ if name.startswith("BEIYUAN_") and name not in known):
        yield Finding("note", f"{name} is set, but no process reads it.", "Is it misspelt? See the settings classes.")


def _variable_names(kind: type[BaseSettings]) -> Iterator[str]:
    for name, field in kind.model_fields.items():
        yield str(field.validation_alias or f"BEIYUAN_{name.upper()}")


def _home(settings: AdminSettings) -> Iterator[Finding]:
    home = settings.home
    existing = next(folder for folder in (home, *home.parents) if folder.exists())
    if not os.access(existing, os.W_OK):
        yield Finding("bad", f"{home} cannot be written to.", "Set BEIYUAN_HOME to a folder of yours.")
        return
    free = shutil.disk_usage(existing).free
    if free < _LITTLE_SPACE_BYTES:
        yield Finding("note", f"Only {free >> 20} MiB are free where {home} lies.", "Make room, or move BEIYUAN_HOME.")
    else:
        yield Finding("ok", f"Data, keys and photos lie in {home} ({free >> 30} GiB free).")


def _port(settings: AdminSettings) -> Iterator[Finding]:
    gateway = GatewaySettings()
    with socket.socket() as probe:
        taken = probe.connect_ex((gateway.host, gateway.port)) == 0
    if taken and running_database(settings) is None:
        yield Finding(
            "note",
            f"Port {gateway.port} is taken by another program.",
            "End it, or choose another port with BEIYUAN_PORT.",
        )
    else:
        yield Finding("ok", f"Port {gateway.port} is {'ours' if taken else 'free'}.")


def _keys(settings: AdminSettings) -> Iterator[Finding]:
    folder = settings.keys_path
    if not folder.exists():
        yield Finding("note", f"There are no keys in {folder} yet.", "`make run` and `beiyuan keys init` make them.")
        return
    try:
        trusted = keys.read_trusted(folder)
    except KeysMissing as error:
        yield Finding("bad", str(error))
        return
    if strangers := [name for name in PROCESSES if name not in trusted]:
        yield Finding("bad", f"trusted.json lacks the keys of {', '.join(strangers)}.", "Run `beiyuan keys init`.")
    for path in sorted(folder.glob("*.json")):
        if path.name != "trusted.json" and stat.S_IMODE(path.stat().st_mode) & 0o077:
            yield Finding("bad", f"{path} can be read by others.", f"chmod 600 '{path}'")
    yield Finding("ok", f"Keys are in {folder}. Keep a copy of them apart from the data: without them nothing opens.")


def _postgres_programs(settings: AdminSettings) -> Iterator[Finding]:
    if settings.admin_database_url is not None:
        return
    try:
        chosen = fitting_binaries(settings.home / "postgres", find_binaries())
        yield Finding("ok", f"The embedded database is PostgreSQL {chosen.major}.")
    except PostgresError as error:
        yield Finding("bad", str(error))


def _database(settings: AdminSettings) -> Iterator[Finding]:
    if settings.admin_database_url is not None:
        admin = settings.admin_database_url.get_secret_value()
        try:
            configured_service_urls()
        except InstallationError as error:
            yield Finding("bad", str(error))
    elif running := running_database(settings):
        admin = running.admin
    else:
        yield Finding("note", "The database does not run now, so it was not looked into.", "Start it: `make run`.")
        return
    try:
        with psycopg.connect(admin, connect_timeout=5) as connection:
            yield from _clock(connection)
    except psycopg.OperationalError as error:
        yield Finding("bad", f"The database does not answer: {error}", "Start it, or mend BEIYUAN_ADMIN_DATABASE_URL.")
        return
    for service in SERVICES:
        yield from _schema(admin, service)


def _clock(connection: psycopg.Connection[Any]) -> Iterator[Finding]:
    row = connection.execute("SELECT clock_timestamp()").fetchone()
    assert row is not None
    seconds = round((clock.now() - row[0]).total_seconds())
    if abs(seconds) <= CLOCKS_APART.total_seconds():
        yield Finding("ok", "This machine's clock agrees with the database's.")
    elif seconds > 0:
        yield Finding(
            "bad",
            f"This machine's clock is {seconds} seconds ahead of the database's: no points are posted from here, and"
            " nothing that is old is cleared away.",
            "Set both by the same time server.",
        )
    else:
        yield Finding(
            "note",
            f"This machine's clock is {-seconds} seconds behind the database's: what falls due is late.",
            "Set both by the same time server.",
        )


def _schema(admin: str, service: str) -> Iterator[Finding]:
    with psycopg.connect(admin, options=f"-c search_path={service}", connect_timeout=5) as connection:
        try:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        except psycopg.errors.UndefinedTable:
            yield Finding("bad", f"The tables of {service} are not there.", "Run `beiyuan migrate`.")
            return
    if row is None or row[0] != _newest_revision(service):
        yield Finding("bad", f"The tables of {service} are not up to date.", "Run `beiyuan migrate`.")
        return
    yield Finding("ok", f"The tables of {service} are up to date.")
    if parked := deliveries.parked_count(admin, service):
        yield Finding(
            "bad",
            f"{parked} message(s) of {service} were refused by a subscriber; what follows them waits.",
            f"See why: `beiyuan messages list --service {service}`. Then `beiyuan messages retry`, or `skip`.",
        )
    if failed := failed_jobs.failed_jobs(admin, service):
        names = ", ".join(sorted({job.name for job in failed}))
        yield Finding(
            "bad",
            f"{len(failed)} job(s) of {service} failed and were given up: {names}.",
            f"See why in the log. Then `beiyuan jobs retry --service {service}`; periodic ones run by themselves.",
        )


def _newest_revision(service: str) -> str | None:
    return ScriptDirectory.from_config(alembic_config(service)).get_current_head()


def _calendar(_: AdminSettings) -> Iterator[Finding]:
    year = clock.today().year
    level: Literal["ok", "note", "bad"] = "bad" if year > LAST_YEAR else "note" if year == LAST_YEAR else "ok"
    yield Finding(
        level,
        f"The Chinese working calendar is known until the end of {LAST_YEAR}; later years count weekends only.",
        "" if level == "ok" else "Update the package chinesecalendar when the new year's holidays are out.",
    )


def _browser(_: AdminSettings) -> Iterator[Finding]:
    if not any(shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome")):
        yield Finding("note", "There is no Chromium: the browser tests will be skipped.", "apt-get install chromium")
