"""Who may call what: declared at each route, and checked against the table of permissions in the tests.

Signing in is open to all; of people, everybody sees themselves.
"""

from typing import Annotated

from fastapi import Depends

from chassis.core.actor import Actor
from chassis.web.auth import require, require_service

SignedIn = Annotated[Actor, Depends(require())]
"""Anybody who is signed in."""

FromOrders = Depends(require_service("orders"))
"""The orders service, and nobody else."""
