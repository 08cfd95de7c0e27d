"""What residents type: as it comes in, as it goes to the API, and what is wrong with it in their own words."""

import hashlib
import re
import secrets
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request

from chassis.core.errors import FieldError
from gateway.pages.api import Api, Refused
from gateway.pages.times import parse_local

PHOTOS_MAX = 6
_FILES_MAX = 20
_FIELDS_MAX = 40
_KEY = re.compile(r"[A-Za-z0-9_-]{22}")

Errors = dict[str, str]
"""What is wrong, by field, in the order of the page; an empty text where only the page as a whole has failed."""


def new_key() -> str:
    """A key for a form that is about to be shown: sending it twice is sending it once."""
    return secrets.token_urlsafe(16)


@dataclass(frozen=True, slots=True)
class Photos:
    """The photos of a form: those chosen now, and the ids of those that came with an earlier try."""

    files: Sequence[UploadFile] = ()
    ids: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class ReportForm:
    """The form of `/q/{code}`, as typed."""

    key: str = field(default_factory=new_key)
    subitem: str = ""
    description: str = ""
    phone: str = ""
    name: str = ""
    visit: str = ""
    photo_ids: Sequence[str] = ()

    @classmethod
    def read(cls, form: FormData) -> "ReportForm":
        """What was sent. A visit may also come as `visit_from` and `visit_to`."""
        interval = "/".join(filter(None, (text_of(form, "visit_from"), text_of(form, "visit_to"))))
        return cls(
            key=key_of(form),
            subitem=text_of(form, "subitem"),
            description=text_of(form, "description"),
            phone=text_of(form, "phone"),
            name=text_of(form, "name"),
            visit=text_of(form, "visit") or interval,
            photo_ids=photos_of(form).ids,
        )

    def body(self, code: str) -> dict[str, Any]:
        """The report as the API takes it. What is wrong in it is for the API to say."""
        body: dict[str, Any] = {"qr_code": code, "subitem_code": self.subitem, "description": self.description}
        # Chinese keyboards also write ０-９, which NFKC turns into 0-9.
        given = {"name": self.name.strip(), "phone": unicodedata.normalize("NFKC", self.phone).strip()}
        contact = {name: value for name, value in given.items() if value}
        if contact:
            body["contact"] = contact
        if self.visit:
            begins, _, ends = self.visit.partition("/")
            body["visit"] = {"from": _moment(begins), "to": _moment(ends)}
        if self.photo_ids:
            body["photos"] = list(self.photo_ids)
        return body

    def with_photos(self, photo_ids: Sequence[str]) -> "ReportForm":
        """The form with the photos that were taken in."""
        return replace(self, photo_ids=photo_ids)

    def again(self, *, photo_ids: Sequence[str]) -> "ReportForm":
        """The form to show again: as typed, under a new key, since it will be another request."""
        return replace(self, key=new_key(), photo_ids=photo_ids)


async def read_form(request: Request) -> FormData:
    """The form that was sent. Raises HTTPException 400 for what is none."""
    return await request.form(max_files=_FILES_MAX, max_fields=_FIELDS_MAX)


def photos_of(form: FormData) -> Photos:
    """The photos of a form, without the nameless empty file that a browser sends for none."""
    files = [item for item in form.getlist("photos") if isinstance(item, UploadFile) and (item.filename or item.size)]
    ids = [item for item in form.getlist("photo_id") if isinstance(item, str) and _is_uuid(item)]
    return Photos(files, ids)


async def send_photos(api: Api, request: Request, photos: Photos, key: str) -> tuple[list[str], str]:
    """Have the photos taken in: the ids of those that were, and what is wrong with the others, if anything is.

    Raises Refused for what is not the photos' fault.
    """
    ids = dict.fromkeys(photos.ids)
    if len(ids) + len(photos.files) > PHOTOS_MAX:
        return list(ids)[:PHOTOS_MAX], f"最多 {PHOTOS_MAX} 张照片，请重新选。"
    wrong = []
    for number, file in enumerate(photos.files, 1):
        content = await file.read()
        try:
            taken = await api.send_photo(request, content, f"{key}.{hashlib.sha256(content).hexdigest()[:32]}")
        except Refused as refused:
            if refused.status not in _WRONG_PHOTO:
                raise
            wrong.append(f"第 {number} 张照片{_WRONG_PHOTO[refused.status]}。")
        else:
            ids[str(taken)] = None
    if wrong:
        wrong.append("请换一张，或不带这张照片提交。")
    return list(ids), "".join(wrong)


_WRONG_PHOTO = {413: "太大了", 415: "不是能识别的照片", 422: "打不开"}

REASONS: Mapping[str, str] = {
    "subitem": "请选一个问题。",
    "description": "请写一两句：坏在哪里，什么样子。",
    "photos": "照片放得太久，已经失效，请重新选。",
    "phone": "手机号应该是 11 位数字，请检查一下。",
    "name": "称呼请写短一些，50 个字以内，不要用特殊符号。",
    "visit": "这个时间约不了，请另选一个时间。",
    "text": "请写一两句，您想补充什么。",
    "solved": "请选：解决了，还是没有解决。",
    "satisfied": "请选：您满意吗。",
    "reason": "请选一个原因。",
}
_TOO_LONG = "写得太长了，请缩短到 2000 字以内。"
_STRANGE = "里面有无法识别的符号，请删掉再试。"
_NAMES: Mapping[str, str] = {
    "body.subitem_code": "subitem",
    "body.contact.phone": "phone",
    "body.contact.name": "name",
}


def explain(fields: Iterable[FieldError], typed: Mapping[str, str]) -> Errors:
    """What the API found wrong, by the form's own fields, in the order of the page."""
    found = {_field(error.name) for error in fields}
    errors = {name: text for name, text in REASONS.items() if name in found}
    for name in {"description", "text"} & errors.keys():
        words = typed.get(name, "").strip()
        if words:
            errors[name] = _TOO_LONG if len(words) > 2000 else _STRANGE
    return errors or {"": ""}


def _field(name: str) -> str:
    for known, own in _NAMES.items():
        if name.startswith(known):
            return own
    return name.removeprefix("body.").partition(".")[0]


def text_of(form: FormData, name: str) -> str:
    """What was typed into a field; empty where it is missing or a file."""
    value = form.get(name)
    return value if isinstance(value, str) else ""


def key_of(form: FormData) -> str:
    """The key under which the form is sent."""
    value = text_of(form, "key")
    return value if _KEY.fullmatch(value) else new_key()


def _moment(text: str) -> str:
    try:
        return parse_local(text).isoformat()
    except ValueError:
        return text


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False
