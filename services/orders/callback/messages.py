"""The fact that an order was closed, with what the resident said."""

from typing import ClassVar
from uuid import UUID

from services.orders.terms import ClosedWhy, Satisfied, Source
from services.orders.workflow.messages import OrderFact


class OrderClosed(OrderFact):
    """办结: handled to an end by the steps; cancelled orders are not told of.

    `contacted`, `solved` and `satisfied` are the answer as far as it counts: null where nobody was reached, and where
    the link of a report without phone or account is all there is (`why` is `unverified`). `real` says whether the
    report proved real. `reporter_id` and `reporter_household_id` are null for a reporter without an account.
    """

    type: ClassVar[str] = "orders.order_closed.v1"

    number: str
    closure_id: UUID
    handler_id: UUID
    unit_id: UUID
    community: UUID
    round: int
    contacted: bool
    solved: bool | None
    satisfied: Satisfied | None
    double_yes: bool
    why: ClosedWhy
    source: Source
    reporter_id: UUID | None
    reporter_household_id: UUID | None
    real: bool
