"""What routes ask for by type."""

from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core.crypto import Vault
from chassis.core.paging import Cursors
from chassis.core.runtime import Runtime
from chassis.web.auth import runtime_of
from chassis.web.router import open_session

SessionDep = Annotated[AsyncSession, Depends(open_session, scope="function")]
"""A transaction, committed before the answer goes out; rolled back on any error."""

RuntimeDep = Annotated[Runtime, Depends(runtime_of)]


def _vault(request: Request) -> Vault:
    return runtime_of(request).vault


def _cursors(request: Request) -> Cursors:
    return runtime_of(request).cursors


VaultDep = Annotated[Vault, Depends(_vault)]
CursorsDep = Annotated[Cursors, Depends(_cursors)]
