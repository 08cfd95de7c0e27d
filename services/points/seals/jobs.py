"""What keeps the trees up with their ledgers."""

import asyncio

import structlog

from chassis.core.runtime import Runtime
from services.points.seals import actions
from services.points.seals.actions import Sealing
from services.points.seals.errors import SealBroken
from services.points.seals.keys import read_seal_key
from services.points.settings import PointsSettings
from services.points.terms import LedgerName

log = structlog.get_logger(__name__)

_AT_ONCE = 100_000
_BROKEN_SECONDS = 300


def sealing_of(runtime: Runtime) -> Sealing:
    """What sealing needs, from the service's settings. Raises KeysMissing."""
    settings = runtime.settings
    assert isinstance(settings, PointsSettings)
    return Sealing(runtime.db, read_seal_key(settings.keys_path), settings.seals_path, settings.seal_seconds)


async def follow(runtime: Runtime) -> None:
    """Seal what was posted every few seconds, for as long as the process runs; several processes may do so."""
    sealing = sealing_of(runtime)
    while True:
        seconds = sealing.seconds if all([await seal(sealing, ledger) for ledger in LedgerName]) else _BROKEN_SECONDS
        await asyncio.sleep(seconds)


async def seal(sealing: Sealing, ledger: LedgerName) -> bool:
    """Bring one ledger's tree up to the present; False where it is broken, which is for people to look into."""
    try:
        await actions.catch_up(sealing, ledger, at_once=_AT_ONCE)
    except SealBroken as error:
        log.critical("seal_broken", ledger=ledger, reason=error.detail)
        return False
    return True
