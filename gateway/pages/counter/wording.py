"""The words of a shop's page: what the API says in codes, in Chinese that a shopkeeper understands."""

import re
import unicodedata
from collections.abc import Mapping

CODE_DIGITS = 20

# Why a coupon cannot be redeemed, by the code of the refusal: the headline, and what to do.
REASONS: Mapping[str, tuple[str, str]] = {
    "coupon_used": ("这张券已经用过了", "请顾客看看手机里的“我的券”。"),
    "coupon_locked": ("这张券正在别处使用", "请等一会儿再试，或请顾客换一张券。"),
    "coupon_expired": ("这张券已经失效", "可能过了有效期，或者已经退掉了。请顾客看看手机里的“我的券”。"),
    "coupon_not_found": ("没有找到这张券", "请核对数字；也可能这张券不能在您店里使用。"),
    "coupon_code_stale": ("券码过时了", "券码半分钟换一次。请顾客刷新一下，再扫一次或重新输入。"),
    "counter_token_invalid": ("请再看一次券", "请重新扫码，或重新输入券码。"),
    "own_coupon": ("不能核销自己家的券", "请店里别的人来核销。"),
    "coupon_not_used": ("这次核销已经撤销了", "今日清单里能看到。"),
    "return_too_late": ("超过一小时，不能撤销了", "请联系街道的工作人员处理。"),
    "use_settled": ("已经结算，不能撤销了", "请联系街道的工作人员处理。"),
    "merchant_suspended": ("商户暂停核销", "请联系街道的工作人员。"),
}
TOO_MANY = "数字错得太多了"

# What stands in the way of a whole page.
REFUSALS: Mapping[str, tuple[str, str]] = {
    "not_at_this_counter": ("您不是这家门店的店员", "可能已被停用，或者门店已关。请问一问店主。"),
    "foreign_form": ("没有提交成功", "为了安全，请回到核销页面再操作一次。"),
}
_BY_STATUS: Mapping[int, tuple[str, str]] = {
    400: ("没有收到完整的内容", "请返回再试一次。"),
    404: ("没有这个页面", "请回到核销首页。"),
    405: ("没有这个页面", "请回到核销首页。"),
    429: ("操作太频繁了", "请等一会儿再来。"),
}
_DEFECT = ("系统暂时停一下", "请过几分钟再试。刚才有没有核销成功，请看今日清单。")


def refusal(status: int, code: str) -> tuple[str, str]:
    """The headline and the remedy for a page that cannot be shown."""
    return REFUSALS.get(code) or REASONS.get(code) or _BY_STATUS.get(status) or _DEFECT


def digits_of(typed: str) -> str:
    """The digits of what was typed or scanned: ０-９ too, and without the spaces between groups of four."""
    return re.sub(r"[\s\-—·.]", "", unicodedata.normalize("NFKC", typed))


def grouped(digits: str) -> str:
    """In groups of four, as on the customer's phone."""
    return " ".join(digits[start : start + 4] for start in range(0, len(digits), 4))


def yuan(fen: int) -> str:
    """2050 → 20.50 元; whole yuan without the point."""
    sign, fen = ("-" if fen < 0 else ""), abs(fen)
    return f"{sign}{fen // 100:,} 元" if fen % 100 == 0 else f"{sign}{fen // 100:,}.{fen % 100:02d} 元"


def masked_phone(phone: str) -> str:
    """100****5678"""
    return f"{phone[:3]}****{phone[-4:]}" if len(phone) >= 8 else phone
