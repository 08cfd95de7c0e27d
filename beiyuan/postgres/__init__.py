"""The embedded database: a real PostgreSQL that 和谐北苑 starts and stops itself.

    with EmbeddedPostgres(home / "postgres") as postgres:
        connect(postgres.url())

Read in this order: `server` (its life), `folder` (its files), `binaries` (which PostgreSQL),
`account` (as whom it runs, since PostgreSQL refuses root), `child` (the program that becomes PostgreSQL).
Whoever brings a PostgreSQL of their own needs none of this.
"""

from beiyuan.postgres.account import Account, usable_account
from beiyuan.postgres.binaries import OLDEST_MAJOR, Binaries, find_binaries, fitting_binaries
from beiyuan.postgres.errors import PostgresError
from beiyuan.postgres.folder import SUPERUSER, DataFolder, servers_in
from beiyuan.postgres.server import EmbeddedPostgres

__all__ = [
    "OLDEST_MAJOR",
    "SUPERUSER",
    "Account",
    "Binaries",
    "DataFolder",
    "EmbeddedPostgres",
    "PostgresError",
    "find_binaries",
    "fitting_binaries",
    "servers_in",
    "usable_account",
]
