"""Who may call what: declared at each route, and checked against the table of permissions in the tests.

Signing in, the privacy notice and the texts of consents are open to all. Everybody sees themselves and their household,
and changes what is theirs: who is an adult, a guardian or a member is decided by this service's own tables, never by
what a token says of a household.
"""

from typing import Annotated

from fastapi import Depends

from chassis.core.actor import Actor
from chassis.web.auth import require, require_service

SignedIn = Annotated[Actor, Depends(require())]
"""Anybody who is signed in."""

FromOrders = Depends(require_service("orders"))
"""The orders service, and nobody else."""

FromEvents = Depends(require_service("events"))
"""The events service, and nobody else."""

FromEventsOrPoints = Depends(require_service("events", "points"))
"""The services that show whom something belongs to, by masked names."""
