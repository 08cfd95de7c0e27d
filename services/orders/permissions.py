"""Who may call what: declared at each route, and checked against the table of permissions in the tests.

What depends on the order itself (whose it is, which unit's) is decided in the domains' rules and queries.
"""

from typing import Annotated

from fastapi import Depends

from chassis.core.actor import Actor
from chassis.web.auth import OptionalActor, require

SignedIn = Annotated[Actor, Depends(require())]
"""Anybody who is signed in: everybody has reports of their own."""

MayHandle = Annotated[Actor, Depends(require("handler"))]
MayDispatch = Annotated[Actor, Depends(require("dispatcher"))]
MayCallBack = Annotated[Actor, Depends(require("callback_agent"))]
MayReview = Annotated[Actor, Depends(require("supervisor"))]
MayReadContact = Annotated[Actor, Depends(require("handler", "callback_agent", "dispatcher"))]

Anybody = OptionalActor
"""Open to all; None where nobody is signed in."""
