"""A ledger as a file: the signed head, then every transfer with its stored hashes. What `beiyuan verify` reads."""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chassis.core.db import Database
from chassis.core.settings import ServiceSettings
from services.points.seals import actions, queries, tree
from services.points.seals.actions import Sealing
from services.points.seals.errors import SealBroken
from services.points.seals.keys import read_seal_key
from services.points.seals.tables import SealHead
from services.points.settings import PointsSettings
from services.points.terms import LedgerName

FORMAT = "beiyuan-export/1"
_ALL = 1 << 62


class NothingSealed(Exception):
    """No head was ever signed, and none can be; says why."""


@dataclass(frozen=True)
class Written:
    """How many transfers were written; and why what came after them was not, where it could not be sealed."""

    size: int
    reason: str


async def export(
    settings: ServiceSettings, ledger: LedgerName, path: Path, progress: Callable[[int, int], None]
) -> Written:
    """Seal what is not sealed yet, and write the ledger as far as the head then goes; in bounded memory.

    Where the ledger is not what was sealed, so that nothing more can be, it is written under the last head: whoever
    verifies that finds what is wrong. Raises NothingSealed, KeysMissing.
    """
    assert isinstance(settings, PointsSettings)
    db = Database(settings, schema="points")
    try:
        head, reason = await _head(db, settings, ledger)
        partial = path.with_name(path.name + ".part")
        with partial.open("wb") as file:
            header = {"checkpoint": head.checkpoint, "format": FORMAT, "ledger": ledger, "size": head.size}
            file.write(_line(header))
            async for part in queries.sealed(db, ledger, head.size):
                for _, hashes, leaf in part:
                    file.write(_line({"hashes": _texts(hashes), "leaf": leaf}))
                progress(part[-1][0], head.size)
        partial.replace(path)
        return Written(head.size, reason)
    finally:
        await db.dispose()


async def _head(db: Database, settings: PointsSettings, ledger: LedgerName) -> tuple[SealHead, str]:
    sealing = Sealing(db, read_seal_key(settings.keys_path), settings.seals_path, settings.seal_seconds)
    try:
        return await actions.seal(sealing, ledger, at_most=_ALL), ""
    except SealBroken as broken:
        async with db.transaction() as session:
            head = await queries.latest_head(session, ledger)
        if head is None:
            raise NothingSealed(broken.detail) from broken
        return head, broken.detail


def _line(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def _texts(hashes: bytes) -> list[str]:
    parts = [hashes[start : start + tree.HASH_BYTES] for start in range(0, len(hashes), tree.HASH_BYTES)]
    return [base64.b64encode(part).decode() for part in parts]
