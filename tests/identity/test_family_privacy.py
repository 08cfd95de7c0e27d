"""What lies in the database, and what is sent, names nobody; bad input changes nothing and names its field."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from chassis.core.ids import new_id
from services.identity.people.terms import birth_context, name_context, phone_context
from tests.identity.families import RECORD, Street, years_ago
from tests.identity.service import Identity

CHILD = {"name": "赵小宝", "birth_date": "2019-06-01", "text_version": RECORD}
CONSENT = {"child_id": str(new_id()), "purpose": "activities", "text_version": "x"}


async def dump(identity: Identity) -> str:
    """Every row of every table, as the database writes them out; bytes as text too, where they are some."""
    async with identity.db.transaction() as session:
        names = await session.scalars(
            text("SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()")
        )
        parts = []
        for name in names.all():
            parts += [str(row[0]) for row in await session.execute(text(f'SELECT t::text FROM "{name}" t'))]
            for row in await session.execute(text(f'SELECT * FROM "{name}"')):
                parts += [bytes(cell).decode("latin-1") for cell in row if isinstance(cell, bytes | memoryview)]
        return "\n".join(parts)


async def test_no_name_phone_birthday_or_code_lies_in_the_database_or_is_sent_in_the_clear(identity: Identity) -> None:
    street = Street(identity)
    mother, father = await street.someone("钱多多"), await street.someone("欧阳建国")
    codes = [await mother.invite(), await mother.invite()]
    headers = {"Idempotency_Key": "a-key-of-the-phone"}
    joined = await father.call("POST", "/household/join", {"code": codes[0]}, **headers)
    assert "欧阳建国" in joined.text
    added = await mother.call("POST", "/household/children", CHILD, **headers)
    child = added.json()["id"]
    await mother.consent(child)
    await mother.done("PATCH", f"/household/children/{child}", {"name": "赵大宝"})
    written = await dump(identity)
    secrets = ["钱多多", "欧阳建国", "赵小宝", "赵大宝", "2019-06-01", mother.phone, father.phone, *codes]
    assert [secret for secret in secrets if secret in written] == []
    assert mother.id in written
    assert "household_changed" in written


async def test_nothing_that_was_answered_before_tells_the_name_or_birthday_of_a_child_that_is_erased(
    street: Street,
) -> None:
    mother, father = await street.couple()
    child = (await mother.call("POST", "/household/children", CHILD, Idempotency_Key="a-key")).json()["id"]
    path = f"/household/children/{child}/guardians"
    await mother.call("POST", path, {"person_id": father.id}, Idempotency_Key="a-key")
    await father.done("DELETE", f"/household/children/{child}")  # any guardian may
    kept = "SELECT operation FROM request WHERE caller IN (:a, :b)"
    assert await street.rows(kept, a=mother.id, b=father.id) == []
    again = await mother.call("POST", path, {"person_id": father.id}, Idempotency_Key="a-key")
    assert (again.status_code, again.json()["code"]) == (404, "child_not_found")


async def test_what_is_sealed_for_one_column_or_person_opens_in_no_other_place(identity: Identity) -> None:
    street, vault = Street(identity), identity.vault
    mother = await street.someone()
    child = await mother.add_child(birth_date=years_ago(5))
    name, birth = (await street.rows("SELECT name_sealed, birth_sealed FROM person WHERE id = :id", id=child))[0]
    own, other = UUID(child), UUID(mother.id)
    assert vault.open(birth, birth_context(own)) == years_ago(5)
    for sealed, context in (
        (birth, birth_context(other)),
        (birth, name_context(own)),
        (name, birth_context(own)),
        (name, phone_context(own)),
    ):
        with pytest.raises(Exception, match="does not open"):
            vault.open(sealed, context)


BAD: list[tuple[str, str, Any, str]] = [
    ("POST", "/household/children", None, "body"),
    ("POST", "/household/children", [], "body"),
    ("POST", "/household/children", CHILD | {"extra": 1}, "body.extra"),
    ("POST", "/household/children", CHILD | {"name": ""}, "body.name"),
    ("POST", "/household/children", CHILD | {"name": " \n "}, "body.name"),
    ("POST", "/household/children", CHILD | {"name": "赵" * 51}, "body.name"),
    ("POST", "/household/children", CHILD | {"name": "赵\u0000"}, "body.name"),
    ("POST", "/household/children", CHILD | {"name": 1}, "body.name"),
    ("POST", "/household/children", CHILD | {"birth_date": ""}, "body.birth_date"),
    ("POST", "/household/children", CHILD | {"birth_date": None}, "body.birth_date"),
    ("POST", "/household/children", CHILD | {"birth_date": 1}, "body.birth_date"),
    ("POST", "/household/children", CHILD | {"birth_date": 0.5}, "body.birth_date"),
    ("POST", "/household/children", CHILD | {"birth_date": "2019-02-29"}, "body.birth_date"),
    ("POST", "/household/children", CHILD | {"birth_date": "2019-6-1"}, "body.birth_date"),
    ("POST", "/household/children", CHILD | {"birth_date": "2019-06-01T00:00:00"}, "body.birth_date"),
    ("POST", "/household/children", CHILD | {"birth_date": "２０１９-06-01"}, "body.birth_date"),
    ("POST", "/household/children", CHILD | {"birth_date": "1559347200"}, "body.birth_date"),
    ("POST", "/household/children", CHILD | {"text_version": "x" * 41}, "body.text_version"),
    ("PATCH", "/household/children/{child}", {}, "body.name"),
    ("PATCH", "/household/children/{child}", {"name": None}, "body.name"),
    ("PATCH", "/household/children/{child}", {"name": "赵", "birth_date": "2019-06-01"}, "body.birth_date"),
    ("PATCH", "/household/children/1", {"name": "赵"}, "path.child_id"),
    ("DELETE", "/household/children/x", None, "path.child_id"),
    ("POST", "/household/children/{child}/guardians", {}, "body.person_id"),
    ("POST", "/household/children/{child}/guardians", {"person_id": "me"}, "body.person_id"),
    ("POST", "/household/children/x/guardians", {"person_id": str(new_id())}, "path.child_id"),
    ("POST", "/consents", CONSENT | {"purpose": "photos"}, "body.purpose"),
    ("POST", "/consents", CONSENT | {"purpose": None}, "body.purpose"),
    ("POST", "/consents", CONSENT | {"child_id": 7}, "body.child_id"),
    ("POST", "/consents", CONSENT | {"text_version": ""}, "body.text_version"),
    ("POST", "/consents", CONSENT | {"given_by": str(new_id())}, "body.given_by"),
    ("POST", "/consents/x/withdraw", None, "path.consent_id"),
    ("POST", "/consents/{child}/withdraw", {"reason": "x"}, "body.reason"),
    ("POST", "/household/invitations", {"household_id": str(new_id())}, "body.household_id"),
    ("DELETE", "/household/invitations/x", None, "path.invitation_id"),
    ("DELETE", "/household/members/x", None, "path.person_id"),
    ("POST", "/household/join", {}, "body.code"),
    ("POST", "/household/join", {"code": None}, "body.code"),
    ("POST", "/household/join", {"code": 12345678}, "body.code"),
    ("POST", "/household/join", {"code": "ACDEFGH"}, "body.code"),
    ("POST", "/household/join", {"code": "ACDEFGHJK"}, "body.code"),
    ("POST", "/household/join", {"code": "ACDEFGH0"}, "body.code"),
    ("POST", "/household/join", {"code": "ACDE\u0000FGH"}, "body.code"),
    ("POST", "/household/join", {"code": "A" * 41}, "body.code"),
    ("POST", "/household/leave", {"confirm": True}, "body.confirm"),
    ("POST", "/me/delete", {}, "body.confirm"),
    ("POST", "/me/delete", {"confirm": False}, "body.confirm"),
    ("POST", "/me/delete", {"confirm": "true"}, "body.confirm"),
    ("POST", "/me/delete", {"confirm": 1}, "body.confirm"),
    ("POST", "/me/delete", {"confirm": True, "with_children": "yes"}, "body.with_children"),
    ("POST", "/me/delete", {"confirm": True, "person_id": str(new_id())}, "body.person_id"),
]


async def test_bad_input_names_the_field_and_changes_nothing(street: Street, subtests: pytest.Subtests) -> None:
    mother = await street.someone()
    child = await mother.add_child()
    counts = "SELECT (SELECT count(*) FROM request), (SELECT count(*) FROM join_tries)"
    before = await street.everything(), await street.rows(counts)
    for method, path, body, field in BAD:
        with subtests.test(method=method, path=path, body=repr(body)[:80]):
            answer = await mother.call(method, path.format(child=child), body, Idempotency_Key="a-key-of-the-phone")
            assert answer.status_code == 422, answer.text
            assert answer.headers["Content-Type"] == "application/problem+json"
            assert [error["name"] for error in answer.json()["errors"]] == [field]
    assert (await street.everything(), await street.rows(counts)) == before
