"""What is wrong with a draft, and what may be done to a reward in which state. Pure."""

from collections.abc import Collection, Iterator
from datetime import datetime
from uuid import UUID

from chassis.core.errors import FieldError
from services.points.catalogue.schemas import RewardDraft
from services.points.rewards.errors import RewardStateWrong
from services.points.rewards.rules import state_at
from services.points.rewards.tables import Reward
from services.points.rewards.terms import LimitPeriod, RewardKind, RewardState

PICTURES_MAX = 6

_NEED_MERCHANTS = {RewardKind.GOODS, RewardKind.SERVICE, RewardKind.PLACE}


def faults(
    draft: RewardDraft, merchants: Collection[UUID], stores: Collection[tuple[UUID, str]], at: datetime
) -> list[FieldError]:
    """What is wrong with a draft, by the field of the request. `merchants` and `stores` are those that there are."""
    return [*_own_faults(draft, at), *_merchant_faults(draft, merchants, stores)]


def _own_faults(draft: RewardDraft, at: datetime) -> Iterator[FieldError]:
    if draft.ends_at <= draft.starts_at:
        yield FieldError("body.ends_at", "is not after starts_at")
    elif draft.ends_at <= at:
        yield FieldError("body.ends_at", "is past")
    if draft.limit_period is not LimitPeriod.EVER and draft.household_limit is None:
        yield FieldError("body.household_limit", "is needed: limit_period says within which time it counts")
    if draft.daily_stock is not None and draft.daily_stock > draft.stock:
        yield FieldError("body.daily_stock", "is more than there is in all")
    if draft.payable_fen > draft.face_fen:
        yield FieldError("body.payable_fen", "is more than it is worth to whoever shows it")
    if draft.kind in _NEED_MERCHANTS and not draft.merchants:
        yield FieldError("body.merchants", "is empty: nobody would honour it")


def _merchant_faults(
    draft: RewardDraft, merchants: Collection[UUID], stores: Collection[tuple[UUID, str]]
) -> Iterator[FieldError]:
    named: set[UUID] = set()
    for index, merchant in enumerate(draft.merchants):
        place = f"body.merchants.{index}"
        if merchant.id in named:
            yield FieldError(f"{place}.id", "is named twice")
        elif merchant.id not in merchants:
            yield FieldError(f"{place}.id", "is no merchant that takes coupons")
        named.add(merchant.id)
        for number, store_id in enumerate(merchant.stores):
            if (merchant.id, store_id) not in stores:
                yield FieldError(f"{place}.stores.{number}", "is no store of this merchant")


def check_state(reward: Reward, at: datetime, *states: RewardState) -> None:
    """Raises RewardStateWrong where the reward is in none of these states."""
    state = state_at(reward, at)
    if state not in states:
        raise RewardStateWrong(f"The reward is in the state {state}.")
