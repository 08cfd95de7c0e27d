"""Nobody who gets hold of the database, the logs or the messages learns whose phone, name or birthday it was."""

import json
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest
from psycopg import sql

from beiyuan.names import SERVICES
from tests.journeys.running import Running, eventually

NAME, CHILD, PHONE, BIRTH = "欧阳测思宁", "欧阳测小满", "10077418529", "2017-03-09"
SMS = re.compile(rb"^SMS to .*$", re.MULTILINE)  # the demonstration's way to get a code to a phone, never a log line


@pytest.fixture(scope="module")
def lived_in(running: Running) -> Running:
    """An installation in which a family was founded, a child signed up, a report made, and every message delivered."""
    if "TEST_JOURNEY_URL" in os.environ:
        pytest.skip("the database of TEST_JOURNEY_URL is not ours to read")
    with ExitStack() as stack:
        nobody = stack.enter_context(running.client())
        notice = nobody.get("/api/identity/privacy-notice").json()["version"]
        credentials = {"phone": PHONE, "code": running.code_for(PHONE), "privacy_notice": notice, "name": NAME}
        token = nobody.post("/api/identity/tokens", json=credentials).json()["access_token"]
        resident = stack.enter_context(running.client(token))
        texts = {
            item["purpose"]: item["version"] for item in resident.get("/api/identity/consent-texts").json()["items"]
        }
        child = {"name": CHILD, "birth_date": BIRTH, "text_version": texts["child_record"]}
        child_id = resident.post("/api/identity/household/children", json=child).raise_for_status().json()["id"]
        consent = {"child_id": child_id, "purpose": "activities", "text_version": texts["activities"]}
        resident.post("/api/identity/consents", json=consent).raise_for_status()
        resident.post("/api/identity/household/invitations", json={}).raise_for_status()
        activity = resident.get("/api/events/activities", params={"state": "open", "limit": "100"}).json()["items"][0][
            "id"
        ]
        signup = {"members": [child_id]}
        resident.post(f"/api/events/activities/{activity}/signups", json=signup).raise_for_status()
        report = {
            "qr_code": running.town["qr_codes"][0]["code"],
            "description": f"楼顶漏雨，请联系{NAME}，{PHONE}",
            "contact": {"name": NAME, "phone": PHONE},
            "photos": [],
        }
        for client, subitem in ((nobody, "H0101"), (resident, "H0102")):
            client.post("/api/orders/reports", json=report | {"subitem_code": subitem}).raise_for_status()
    admin = json.loads((running.home / "running-database.json").read_text())["admin"]
    eventually(lambda: _waiting(admin) == 0, seconds=60)
    return running


def _waiting(admin: str) -> int:
    with psycopg.connect(admin) as connection:
        query = "SELECT count(*) FROM {}.delivery WHERE state <> 'sent'"
        counts = [connection.execute(sql.SQL(query).format(sql.Identifier(name))).fetchone() for name in SERVICES]
    return sum(row[0] for row in counts if row)


def personal(town: dict[str, list[dict[str, Any]]]) -> set[str]:
    """Every name and phone of the demo town, and those of the family that was founded."""
    members = [member for household in town["households"] for member in household["members"]]
    people = [*members, *town["accounts"]]
    return {NAME, CHILD, PHONE, BIRTH} | {p["name"] for p in people} | {p["phone"] for p in people if p["phone"]}


def stored(admin: str) -> Iterator[tuple[str, bytes]]:
    """Every column of every table, with all that is in it."""
    with psycopg.connect(admin) as connection:
        tables = connection.execute(
            "SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema = ANY(%s)",
            [list(SERVICES)],
        ).fetchall()
        assert len(tables) > 40
        for schema, table in tables:
            cursor = connection.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(schema, table)))
            rows = cursor.fetchall()
            for number, column in enumerate(cursor.description or ()):
                values = [row[number] for row in rows]
                raw = [v if isinstance(v, bytes) else repr(v).encode() for v in values if v is not None]
                yield f"{schema}.{table}.{column.name}", b"\n".join(raw)


def test_a_stolen_database_tells_nobodys_name_phone_or_birthday(lived_in: Running) -> None:
    admin = json.loads((lived_in.home / "running-database.json").read_text())["admin"]
    needles = {text.encode() for text in personal(lived_in.town)}
    found = {place: {n.decode() for n in needles if n in content} for place, content in stored(admin)}
    assert {place: names for place, names in found.items() if names} == {}
    assert any("message.data" in place for place in found), "the messages are looked at too"


def test_the_logs_tell_nobodys_name_phone_or_birthday(lived_in: Running) -> None:
    logs = [*lived_in.logs, *lived_in.home.rglob("*.log")]
    assert any(path.stat().st_size for path in logs)
    needles = {text.encode() for text in personal(lived_in.town)}
    for path in logs:
        content = SMS.sub(b"", path.read_bytes())
        assert {needle.decode() for needle in needles if needle in content} == set(), path.name
