"""What merchants are to be told, written where it is decided."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core import clock
from chassis.core.beijing import BEIJING
from chassis.core.db import driver_connection, driver_errors
from chassis.core.ids import new_id

# One statement, however many there are. What no endpoint is to be told is not written.
_ANNOUNCE = """
WITH told AS (
 SELECT * FROM unnest(%b::uuid[], %b::uuid[], %b::text[], %b::text[], %b::timestamptz[])
  AS told (id, merchant_id, event_type, resource, at)
), wanted AS (
 SELECT told.*, endpoint.id AS endpoint_id FROM told
 JOIN webhook_endpoint endpoint ON endpoint.merchant_id = told.merchant_id
 WHERE endpoint.state = 'active'
  AND (endpoint.event_types = '{}' OR told.event_type = ANY(endpoint.event_types))
), event AS (
 INSERT INTO webhook_event (id, merchant_id, event_type, resource, created_at)
 SELECT id, merchant_id, event_type, resource::jsonb, at FROM told WHERE id IN (SELECT id FROM wanted)
)
INSERT INTO webhook_delivery (endpoint_id, event_id, state, attempts, failures, next_attempt_at)
 SELECT endpoint_id, id, 'pending', 0, 0, %b FROM wanted
"""


@dataclass(frozen=True, slots=True)
class Announcement:
    """Something of one merchant's: `event_type` such as COUPON.USED, `resource` without personal data."""

    merchant_id: UUID
    event_type: str
    resource: Mapping[str, Any]
    at: datetime


async def announce(session: AsyncSession, announcements: Sequence[Announcement]) -> None:
    """Have these told, in the caller's transaction: once it commits they will be, and never if it does not.

    A resource holds what JSON has, and ids, days and aware times, which go out with Beijing's offset.
    """
    if not announcements:
        return
    rows = [(new_id(), each.merchant_id, str(each.event_type), _json(each.resource), each.at) for each in announcements]
    driver = await driver_connection(session)
    with driver_errors(driver):
        await driver.execute(_ANNOUNCE, [*(list(column) for column in zip(*rows, strict=True)), clock.now()])


def _json(resource: Mapping[str, Any]) -> str:
    return json.dumps(resource, ensure_ascii=False, default=_plain)


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(BEIJING).isoformat()
    if isinstance(value, date | UUID):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no place in what a merchant is told")
