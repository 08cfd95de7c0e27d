"""The points service with ledgers to seal, and what an auditor has: the public key and the published heads."""

import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from beiyuan import ledger_export
from beiyuan.verify.files import verify
from beiyuan.verify.notes import read_verifiers
from beiyuan.verify.report import Report
from services.points.seals import actions, published
from services.points.seals.actions import Sealing
from services.points.seals.tables import SealHead
from services.points.terms import LedgerName
from tests.points.conftest import Points, service_on
from tests.points.seals.history import History
from tests.town import TestDatabase, copy_of


class Sealed:
    """A service of its own with a civic ledger, and an auditor who trusts nothing but the public key."""

    def __init__(self, points: Points, database: TestDatabase, folder: Path) -> None:
        self.points = points
        self.database = database
        self.folder = folder
        self.history = History(database)
        self.sealing: Sealing = points.town.apps["points"].state.seals.sealing
        self.told: list[tuple[int, int]] = []

    def keys(self) -> str:
        """The public keys, one a line."""
        return "".join(f"{self.sealing.key.verifier(ledger)}\n" for ledger in LedgerName)

    @property
    def verifiers(self) -> str:
        """The file that holds them."""
        path = self.folder / "keys.txt"
        path.write_text(self.keys())
        return str(path)

    @property
    def heads_path(self) -> Path:
        return published.path_of(self.sealing.folder, LedgerName.CIVIC)

    def sizes(self) -> list[int]:
        """Over how many transfers each published head is."""
        if not self.heads_path.exists():
            return []
        return [int(json.loads(line)["checkpoint"].split("\n")[1]) for line in self.heads_path.read_text().splitlines()]

    async def seal(self, ledger: LedgerName = LedgerName.CIVIC, *, at_most: int = 10**9) -> SealHead:
        return await actions.seal(self.sealing, ledger, at_most=at_most)

    async def export(self, ledger: LedgerName = LedgerName.CIVIC) -> Path:
        """An export as the command makes it."""
        path = self.folder / f"{ledger}.jsonl"
        settings = self.points.town.settings("points")
        await ledger_export.export(settings, ledger, path, lambda done, of: self.told.append((done, of)))
        return path

    def check(self, path: Path, heads: Path | None = None) -> Report:
        return verify(path, read_verifiers(self.verifiers), heads)

    async def audit(self, *, with_heads: bool = False) -> Sequence[str]:
        """What verifying a fresh export of the civic ledger finds."""
        return self.check(await self.export(), self.heads_path if with_heads else None).problems


@pytest.fixture
async def sealed(migrated: TestDatabase, keys_dir: Path, tmp_path: Path) -> AsyncIterator[Sealed]:
    """A ledger of the test's own."""
    with copy_of(migrated) as database:
        async with service_on(database, keys_dir, tmp_path) as points:
            yield Sealed(points, database, tmp_path)
