"""Who may call what, declared at each route; whose account it is decides the rest (`statements/rules.py`)."""

from typing import Annotated

from fastapi import Depends

from chassis.core.actor import Actor
from chassis.web.auth import require

SignedIn = Annotated[Actor, Depends(require())]
"""Anybody who is signed in."""

MayRedeem = Annotated[Actor, Depends(require("resident"))]
"""Residents, with the points of their household."""

MayAdminister = Annotated[Actor, Depends(require("administrator"))]
"""Administrators, who make the rules and post by hand; what matters takes two of them."""

MayReadLedger = Annotated[Actor, Depends(require("administrator", "auditor"))]
"""Who may read every transfer, hold and proposal; auditors write nothing."""

MaySeeToMerchants = Annotated[Actor, Depends(require("administrator", "merchant"))]
"""Administrators, and managers of merchants, who see to their own alone (`registry/rules.py`)."""

MaySeeMerchants = Annotated[Actor, Depends(require("administrator", "auditor", "merchant"))]
"""The same, and auditors, who change nothing."""

MayManage = Annotated[Actor, Depends(require("merchant"))]
"""Managers, who answer for their own merchant."""
