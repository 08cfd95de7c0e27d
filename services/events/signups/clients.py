"""Calls to the identity service about people."""

import asyncio
from collections.abc import Collection, Mapping
from uuid import UUID

import structlog
from pydantic import BaseModel, ConfigDict

from chassis.core.client import CallRefused, ServiceClient
from chassis.core.errors import Unavailable

log = structlog.get_logger(__name__)

_AT_ONCE = 200


class _Named(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    person_id: UUID
    name: str


class _Names(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    names: list[_Named]


async def masked_names(client: ServiceClient, person_ids: Collection[UUID]) -> Mapping[UUID, str]:
    """The masked names (张*) of these people, as far as identity tells them now: a list is worth reading without."""
    wanted = sorted(set(person_ids))
    parts = [wanted[start : start + _AT_ONCE] for start in range(0, len(wanted), _AT_ONCE)]
    found = await asyncio.gather(*[_fetch(client, part) for part in parts])
    return {named.person_id: named.name for part in found for named in part}


async def _fetch(client: ServiceClient, person_ids: list[UUID]) -> list[_Named]:
    body = {"person_ids": [str(person_id) for person_id in person_ids]}
    try:
        answer = await client.post("identity", "/internal/people/masked-names", body, safe=True)
    except (CallRefused, Unavailable) as error:
        log.warning("names_not_told", reason=error.code)
        return []
    return _Names.model_validate(answer).names
