"""The fields that merchants send. Whatever is wrong with one, its developer is told in both languages how it must look.

The same words are people's fields at counters and in the registry of merchants.
"""

import re
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from chassis.core.beijing import BEIJING
from chassis.core.schema import Text
from services.points.merchants.terms import Operation

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)", re.ASCII)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_EARLIEST = datetime(2020, 1, 1, tzinfo=BEIJING)
_LATEST = datetime(2200, 1, 1, tzinfo=BEIJING)


@dataclass(frozen=True, slots=True)
class Form:
    """How a field must look: the one reason that is given for whatever its type refuses.

    Text is given by its pattern; otherwise this stands after what refuses.
    """

    chinese: str
    english: str
    pattern: str | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        refusing = core_schema.str_schema(strict=True, pattern=self.pattern) if self.pattern else handler(source)
        return core_schema.custom_error_schema(refusing, "form", custom_error_message=f"{self.chinese} {self.english}")


def _written(form: re.Pattern[str]) -> BeforeValidator:
    """JSON has no times: only text of this form is one."""

    def check(value: object) -> object:
        if not isinstance(value, str) or not form.fullmatch(value):
            raise ValueError
        return value

    return BeforeValidator(check)


def _thinkable(value: datetime) -> datetime:
    if not _EARLIEST <= value <= _LATEST:
        raise ValueError
    return value


def _thinkable_day(value: date) -> date:
    if not _EARLIEST.date() <= value <= _LATEST.date():
        raise ValueError
    return value


OutRequestNo = Annotated[
    str,
    Form("须为6至64位字母、数字、_或-", "must be 6 to 64 letters, digits, _ or -", pattern="^[A-Za-z0-9_-]{6,64}$"),
]
"""商户请求单号: the merchant's own, unique for the merchant and operation."""

StoreId = Annotated[
    str,
    Form("须为1至32位字母、数字、_或-", "must be 1 to 32 letters, digits, _ or -", pattern="^[A-Za-z0-9_-]{1,32}$"),
]
OutTradeNo = Annotated[
    str,
    Form(
        "须为1至64位字母、数字、_、|、*或-",
        "must be 1 to 64 letters, digits, _, |, * or -",
        pattern="^[A-Za-z0-9_|*-]{1,64}$",
    ),
]
CouponCode = Annotated[str, Form("须为20位数字的字符串", "must be a string of 20 digits", pattern="^[0-9]{20}$")]
CouponId = Annotated[str, Form("须为14位数字的字符串", "must be a string of 14 digits", pattern="^[0-9]{14}$")]
UseNo = Annotated[
    str, Form("须为核销应答中的流水号", "must be the use_no of the answer to a use", pattern="^[0-9]{18,20}$")
]
"""核销流水号: the coupon's id and four digits or more."""

PrepareToken = Annotated[
    str,
    Form("须为应答中的prepare_token", "must be a prepare_token as it was answered", pattern="^[A-Za-z0-9_-]{1,200}$"),
]
UseTime = Annotated[
    AwareDatetime,
    _written(_RFC3339),
    AfterValidator(_thinkable),
    Form("须为2020年以后带时区的时间，如2026-01-31T18:30:00+08:00", "must be a time since 2020 with its offset"),
]
BillDate = Annotated[
    date,
    _written(_DAY),
    AfterValidator(_thinkable_day),
    Form("须为2020年以后的日期，如2026-01-31", "must be a day since 2020, written so"),
]
NumberedOperation = Annotated[Operation, Form("须为use、lock、unlock或return", "must be use, lock, unlock or return")]

RewardTitle = Annotated[str, Text(60), Form("须为1至60个字符的文字", "must be text of 1 to 60 characters")]
Fen = Annotated[
    int, Field(strict=True, ge=0, le=100_000), Form("须为0至100000的整数（分）", "must be a whole number to 100000")
]
ValidSeconds = Annotated[
    int,
    Field(strict=True, ge=1, le=30 * 86400),
    Form("须为1至2592000的整数（秒）", "must be a whole number from 1 to 2592000"),
]
