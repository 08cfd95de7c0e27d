"""Who may call what: declared at each route, and checked against the table of permissions in the tests.

What depends on the row itself (whose activity, whose household) is decided in the domains' rules and queries.
"""

from typing import Annotated

from fastapi import Depends

from chassis.core.actor import Actor
from chassis.web.auth import OptionalActor, require

SignedIn = Annotated[Actor, Depends(require())]
"""Anybody who is signed in."""

Resident = Annotated[Actor, Depends(require("resident"))]
"""Whoever belongs to a household: they sign up, withdraw and check in, for its members."""

MayOrganise = Annotated[Actor, Depends(require("organiser"))]
MayApprove = Annotated[Actor, Depends(require("administrator"))]
"""Approves what an organisation wants to publish, or returns it."""

MaySet = Annotated[Actor, Depends(require("administrator"))]
"""Decides whether an organisation's activities are reviewed."""

Anybody = OptionalActor
"""Open to all; None where nobody is signed in."""
