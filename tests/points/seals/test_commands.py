"""The commands as an operator and an auditor type them."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from beiyuan.cli import app
from beiyuan.installation import database_variable
from beiyuan.names import SERVICES
from services.points.seals.keys import read_seal_key
from services.points.terms import LedgerName
from tests.points.seals.history import History, alter, owner_of
from tests.town import TestDatabase


@pytest.fixture
def installation(database: TestDatabase, keys_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The environment of an installation whose civic ledger has a past."""
    monkeypatch.setenv("BEIYUAN_HOME", str(tmp_path))
    monkeypatch.setenv("BEIYUAN_KEYS_DIR", str(keys_dir))
    monkeypatch.setenv("BEIYUAN_ADMIN_DATABASE_URL", database.admin_url)
    for service in SERVICES:
        monkeypatch.setenv(database_variable(service), database.url(service))
    history = History(database)
    history.of_every_kind()
    history.write()
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_an_operator_exports_a_ledger_and_an_auditor_verifies_it(
    installation: Path, keys_dir: Path, database: TestDatabase
) -> None:
    file, key = installation / "out.jsonl", read_seal_key(keys_dir).verifier(LedgerName.CIVIC)
    heads = str(installation / "seals" / "civic.jsonl")
    exported = run("points", "export", "--ledger", "civic", "--out", str(file))
    assert exported.exit_code == 0, exported.output
    assert "8 transfers of the civic ledger" in exported.output.replace("\n", " ")
    verified = run("verify", str(file), "--key", key, "--heads", heads)
    assert (verified.exit_code, verified.output.splitlines()[-1]) == (0, "All of it is as it was signed.")
    with owner_of(database) as owner:
        alter(owner, "transfer", "ledger = 'civic' AND sequence = 3", reference="another")
    assert run("points", "export", "--ledger", "civic", "--out", str(file)).exit_code == 0
    refused = run("verify", str(file), "--key", key, "--heads", heads)
    assert refused.exit_code == 1
    assert "WRONG: transfer 3 is not what was sealed" in refused.output


def test_a_ledger_that_never_could_be_sealed_is_told_of_and_nothing_is_written(
    installation: Path, database: TestDatabase
) -> None:
    with owner_of(database) as owner:
        owner.execute("DELETE FROM transfer WHERE sequence = 2")
    refused = run("points", "export", "--ledger", "civic", "--out", str(installation / "out.jsonl"))
    assert (refused.exit_code, (installation / "out.jsonl").exists()) == (1, False)
    assert "Transfer 2 of the civic ledger is missing" in refused.output


def test_an_unreadable_key_is_told_plainly(installation: Path) -> None:
    refused = run("verify", str(installation / "none"), "--key", "nothing")
    assert (refused.exit_code, "Traceback" in refused.output) == (2, False)
