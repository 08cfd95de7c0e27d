"""Photos on their way in, in a case, and out again."""

import asyncio
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from chassis.core import pictures
from chassis.core.pictures import Picture
from services.orders.photos import actions, queries
from services.orders.photos.jobs import sweep_photos
from services.orders.photos.storage import LocalFolder
from services.orders.photos.tables import Photo
from tests.orders.images import decoded, photo, photo_with_secrets
from tests.orders.neighbourhood import Neighbourhood, at, new_device
from tests.town import actor


def files(hood: Neighbourhood, photo_id: str) -> list[Path]:
    return sorted(hood.town.home.glob(f"photos/*/{UUID(photo_id).hex}*"))


async def test_a_photo_of_a_case_is_seen_by_those_who_see_the_case_and_by_nobody_else(hood: Neighbourhood) -> None:
    photo_id = await hood.photo()
    path = f"/photos/{photo_id}"
    for who in (hood.handler, hood.auditor, hood.resident):
        assert (await hood.get(path, who)).json()["code"] == "photo_not_found"  # it is in no case yet
    report = await hood.report(hood.resident, photos=[photo_id])
    for who in (hood.handler, hood.dispatcher, hood.supervisor, hood.auditor, hood.resident):
        shown = await hood.get(path, who)
        assert (shown.status_code, shown.headers["content-type"]) == (200, "image/jpeg")
        assert shown.headers["Cache-Control"] == "private, no-store"
        assert shown.headers["X-Content-Type-Options"] == "nosniff"
        assert decoded(shown.content).size == (64, 48)
    for who in (hood.stranger, hood.community_handler, hood.agent, actor("resident"), actor("merchant")):
        assert (await hood.get(path, who)).json()["code"] == "order_not_found"
    assert (await hood.get(path)).status_code == 401
    await hood.act(report, "claim", hood.handler)
    assert (await hood.get(path, hood.colleague)).status_code == 404


async def test_photos_are_kept_clean_with_a_thumbnail(hood: Neighbourhood) -> None:
    photo_id = (await hood.upload(photo_with_secrets())).json()["id"]
    await hood.report(photos=[photo_id])
    kept = files(hood, photo_id)
    assert [path.name.removeprefix(UUID(photo_id).hex) for path in kept] == ["-thumb.jpg", ".jpg"]
    assert all(b"SECRET" not in path.read_bytes() for path in kept)
    thumb = await hood.get(f"/photos/{photo_id}", hood.handler, size="thumb")
    assert thumb.content == kept[0].read_bytes()
    assert (await hood.get(f"/photos/{photo_id}", hood.handler, size="huge")).status_code == 422


async def test_the_id_of_a_photo_cannot_be_guessed(hood: Neighbourhood) -> None:
    one, other = UUID(await hood.photo()), UUID(await hood.photo())
    assert one.version == other.version == 4


async def test_a_photo_that_nobody_attaches_vanishes_after_an_hour(hood: Neighbourhood) -> None:
    with at("2026-11-23T09:00"):
        forgotten, used = await hood.photo(), await hood.photo()
        await hood.report(photos=[used])
    with at("2026-11-23T09:59"):
        await sweep_photos(hood.runtime)
        assert len(files(hood, forgotten)) == 2
    with at("2026-11-23T10:01"):
        late = await hood.send_report(photos=[forgotten])  # even before it is swept
        assert late.json()["code"] == "photo_unknown"
        await sweep_photos(hood.runtime)
    assert files(hood, forgotten) == []
    assert len(files(hood, used)) == 2
    async with hood.db.transaction() as session:
        assert await session.get(Photo, UUID(forgotten)) is None
        assert await session.get(Photo, UUID(used)) is not None


async def test_a_photo_goes_into_one_case_even_when_two_reports_want_it_at_once(hood: Neighbourhood) -> None:
    photo_id = await hood.photo()
    answers = await asyncio.gather(
        hood.send_report(photos=[photo_id]), hood.send_report(photos=[photo_id], qr_code=hood.building_code)
    )
    assert sorted(answer.status_code for answer in answers) == [201, 422]


class Full(LocalFolder):
    """A disk without room."""

    def write(self, key: str, content: bytes) -> None:
        raise OSError(28, "No space left on device")


async def test_what_fails_half_way_leaves_nothing_that_is_never_swept(hood: Neighbourhood, tmp_path: Path) -> None:
    device = uuid4().bytes
    with at("2026-11-23T09:00"), pytest.raises(OSError, match="No space"):
        await actions.take_photo(hood.db, Full(tmp_path), photo(), device=device, max_pixels=10_000, per_hour=10)
    with at("2026-11-23T10:30"):
        await sweep_photos(hood.runtime)
    async with hood.db.transaction() as session:
        assert await queries.nth_latest(session, device, 1) is None


def test_a_file_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    storage = LocalFolder(tmp_path)
    storage.write("ab-thumb.jpg", b"content")
    assert storage.read("ab-thumb.jpg") == b"content"
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["ab-thumb.jpg"]
    storage.delete("ab-thumb.jpg")
    storage.delete("ab-thumb.jpg")
    with pytest.raises(FileNotFoundError):
        storage.read("ab-thumb.jpg")
    for key in ("../../etc/passwd", "/etc/passwd", ".hidden", "a/b"):
        with pytest.raises(ValueError, match="key"):
            storage.read(key)


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"GIF89a" + b"\0" * 50, 415, "photo_wrong_type"),
        (b"", 415, "photo_wrong_type"),
        (b"\xff\xd8\xff" + b"\0" * 50, 422, "photo_unreadable"),
        (photo().ljust(10_000_001, b"\0"), 413, "photo_too_large"),
    ],
)
async def test_what_is_no_photo_or_too_large_is_refused(
    hood: Neighbourhood, content: bytes, status: int, code: str
) -> None:
    answer = await hood.upload(content)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_a_body_beyond_all_bounds_is_refused_unread(hood: Neighbourhood) -> None:
    assert (await hood.upload(b"\0" * 60_000_000)).status_code == 413


async def test_a_photo_must_come_as_a_file(hood: Neighbourhood) -> None:
    bodies: list[dict[str, Any]] = [{"data": {"file": "text"}}, {"files": {"photo": ("a", photo())}}, {"json": {}}]
    async with hood.client() as client:
        for body in bodies:
            answer = await client.post("/api/orders/photos", **body)
            assert answer.status_code == 422, answer.text
            assert [error["name"] for error in answer.json()["errors"]] == ["body.file"]


async def test_one_device_cannot_fill_the_disk(hood_with: Any) -> None:
    hood: Neighbourhood = await hood_with(photos_per_device_hour=2)
    device = new_device()
    for expected in (201, 201, 429):
        assert (await hood.upload(device=device)).status_code == expected
    assert (await hood.upload()).status_code == 201


async def test_an_upload_repeated_under_its_key_is_one_photo(hood: Neighbourhood) -> None:
    async with hood.client(device=new_device()) as client:
        ids = set()
        for _ in range(2):
            answer = await client.post(
                "/api/orders/photos", files={"file": ("a.jpg", photo())}, headers={"Idempotency-Key": "photo-1"}
            )
            ids.add(answer.json()["id"])
    assert len(ids) == 1


async def test_no_transaction_waits_while_a_photo_is_decoded(
    hood: Neighbourhood, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting: list[int] = []

    def reencode(content: bytes, *, max_pixels: int) -> Picture:
        with psycopg.connect(hood.town.database.admin_url) as admin:
            idle = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'"
            row = admin.execute(idle).fetchone()
        assert row is not None
        waiting.append(row[0])
        return pictures.reencode(content, max_pixels=max_pixels)

    monkeypatch.setattr(actions, "reencode", reencode)
    async with hood.client() as client:
        file = ("photo.jpg", photo(), "image/jpeg")
        for _ in range(2):
            answer = await client.post(
                "/api/orders/photos", files={"file": file}, headers={"Idempotency-Key": "the-same-photo"}
            )
            assert answer.status_code == 201
    assert answer.headers["Idempotency-Hit"] == "true"
    assert waiting == [0, 0]
