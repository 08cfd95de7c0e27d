"""Invented names, phone numbers, codes and ids, each worked out from a stable key and from nothing else."""

import hashlib
from functools import cache
from uuid import NAMESPACE_URL, UUID, uuid5

_NAMESPACE = uuid5(NAMESPACE_URL, "https://beiyuan.invalid/demo")

_FAMILY = "安白常陈程崔戴丁董范方高葛龚顾郭韩何贺洪侯胡黄季江姜金柯孔雷黎林刘卢罗马毛孟潘彭秦邱任沈石宋苏孙"
_GIVEN_FIRST = "禾沐星青知景书嘉云晨春望怀向乐初砚松岚若希映念致修亦芷言予承"
_GIVEN_SECOND = "宁远和川原秋舟桐荷诚溪岩庭歌简柏棠朗遥清微凡序澜禾彤安茵楠恬"

# Without 0, 1, i, l and o, which are misread on a poster.
_CODE_LETTERS = "23456789abcdefghjkmnpqrstuvwxyz"
_CODE_LENGTH = 10


@cache
def stable_id(kind: str, key: str) -> UUID:
    """The id of the thing of this kind and key, the same in every installation."""
    return uuid5(_NAMESPACE, f"{kind}/{key}")


def person_name(key: str, *, family: str = "") -> str:
    """A full name; with `family`, under that family name."""
    number = _number("name", key)
    number, first = divmod(number, len(_GIVEN_FIRST))
    number, second = divmod(number, len(_GIVEN_SECOND))
    return (family or _FAMILY[number % len(_FAMILY)]) + _GIVEN_FIRST[first] + _GIVEN_SECOND[second]


def phone(key: str) -> str:
    """Eleven digits from 100: no Chinese mobile number begins so."""
    return f"100{_number('phone', key) % 10**8:08d}"


def qr_code(key: str) -> str:
    """A code as it would be printed on a poster."""
    number = _number("qr_code", key)
    letters = []
    for _ in range(_CODE_LENGTH):
        number, index = divmod(number, len(_CODE_LETTERS))
        letters.append(_CODE_LETTERS[index])
    return "".join(letters)


def number(purpose: str, key: str, low: int, high: int) -> int:
    """A number from `low` up to, but not including, `high`."""
    return low + _number(purpose, key) % (high - low)


def device(key: str) -> bytes:
    """What stands for the device that something was sent from, as long as a real one's keyed hash."""
    return _digest("device", key)


def _number(purpose: str, key: str) -> int:
    return int.from_bytes(_digest(purpose, key), "big")


def _digest(purpose: str, key: str) -> bytes:
    return hashlib.sha256(f"beiyuan demo\0{purpose}\0{key}".encode()).digest()
