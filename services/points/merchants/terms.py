"""Words of the merchants' door."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID


class Algorithm(StrEnum):
    """How a key signs. It belongs to the key on record; a header that names another is refused."""

    RSA = "RSA2048-SHA256"  # PKCS#1 v1.5
    ED25519 = "ED25519"


SCHEMES = {"HHBY1-SHA256-RSA2048": Algorithm.RSA, "HHBY1-ED25519": Algorithm.ED25519}
"""What a signed request's Authorization header begins with."""


BILL_SHA256 = "HHBY-Bill-SHA256"
"""The header that says what a bill is known by: the SHA-256 of the CSV, in hexadecimal."""


class MerchantState(StrEnum):
    """Whether a merchant takes coupons."""

    ACTIVE = "active"
    SUSPENDED = "suspended"


class Operation(StrEnum):
    """What a merchant does under a number of its own."""

    USE = "use"
    LOCK = "lock"
    UNLOCK = "unlock"
    RETURN = "return"


@dataclass(frozen=True, slots=True)
class Caller:
    """The merchant whose signature a request bears, and the key that made it."""

    merchant_id: UUID
    mchid: str
    serial_no: str
    algorithm: Algorithm
    sandbox: bool
    suspended: bool


@dataclass(frozen=True, slots=True)
class NumberKey:
    """What an `out_request_no` is unique for. Numbers under sandbox keys are apart from the live ones."""

    merchant_id: UUID
    sandbox: bool
    operation: Operation
    out_request_no: str


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer in its final bytes, as it is sent and kept."""

    status: int
    body: bytes
