"""HTTP of the call-back and the review."""

from uuid import UUID

from chassis.web.deps import SessionDep
from chassis.web.problems import problems
from chassis.web.router import Router
from services.orders.callback import actions
from services.orders.callback.errors import OwnCallback
from services.orders.callback.schemas import CallbackIn, ReviewIn
from services.orders.permissions import MayCallBack, MayReview
from services.orders.workflow.errors import OrderNotFound, WrongState
from services.orders.workflow.schemas import OrderOut

router = Router(prefix="/api/orders", tags=["call-back"])


@router.post("/{order_id}/callback", responses=problems(OrderNotFound, OwnCallback, WrongState))
async def record_callback(order_id: UUID, body: CallbackIn, actor: MayCallBack, session: SessionDep) -> OrderOut:
    """回访: one try to reach the resident, and what they said. The third day in vain closes the order."""
    return OrderOut.of(await actions.record_callback(session, actor, order_id, body))


@router.post("/{order_id}/review", responses=problems(OrderNotFound, OwnCallback, WrongState))
async def review_order(order_id: UUID, body: ReviewIn, actor: MayReview, session: SessionDep) -> OrderOut:
    """复核: close an order as truthfully handled though the resident is not satisfied, or send it back to work."""
    return OrderOut.of(await actions.review_order(session, actor, order_id, body))
