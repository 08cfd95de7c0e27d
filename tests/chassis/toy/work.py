"""A toy service with jobs. It lives in the sender's schema."""

import asyncio

from fastapi import FastAPI
from sqlalchemy import text

from chassis.core.client import Directory
from chassis.core.jobs import Jobs
from chassis.core.runtime import Parts, Runtime
from chassis.core.settings import ServiceSettings
from chassis.web.app import Service, build_service

jobs = Jobs()
moods = {"hang": False}


@jobs.task("work.note")
async def note(runtime: Runtime, *, words: str) -> None:
    """Write a note, or hang for ever in the middle of it."""
    async with runtime.db.transaction() as session:
        await session.execute(text("INSERT INTO box VALUES (:name, 0)"), {"name": f"begun {words}"})
    if moods["hang"]:
        await asyncio.Event().wait()


SERVICE = Service(parts=Parts(name="sender", jobs=jobs.declared), title="Work", description="Jobs.", routers=[])


def create_app(settings: ServiceSettings, directory: Directory) -> FastAPI:
    """The toy with jobs, as a process of its own: each of its jobs hangs."""
    moods["hang"] = True
    return build_service(SERVICE, settings, directory)
