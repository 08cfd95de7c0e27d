"""Alembic's environment, one for all services: `beiyuan migrate` names the service and hands over a connection.

The connection's search_path is the service's schema, so migrations name no schema, and the version table lies in it.
"""

from importlib import import_module
from typing import Any

from alembic import context
from sqlalchemy import MetaData

from chassis.core import idempotency, inbox, messages  # noqa: F401  # their tables
from chassis.core.db import ChassisBase


def _include(entity: Any, name: str | None, kind: str, reflected: bool, compare_to: Any) -> bool:
    """Leave out views, and procrastinate's tables, which it owns itself."""
    if kind == "table" and getattr(entity, "info", {}).get("is_view"):
        return False
    table = name if kind == "table" else getattr(getattr(entity, "table", None), "name", "")
    return not (table or "").startswith("procrastinate_")


def run() -> None:
    """Run the migrations of `service` on `connection`, or compare them with the tables declared in the code."""
    service: str = context.config.attributes["service"]
    import_module(f"services.{service}.app")  # so that every table of the service is known
    base: MetaData = import_module(f"services.{service}.tables").Base.metadata
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=[base, ChassisBase.metadata],
        include_object=_include,
        compare_type=True,
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()


run()
