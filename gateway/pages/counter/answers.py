"""What the services' API answers, as far as the page of a shop uses it."""

from datetime import date, datetime
from uuid import UUID

from gateway.pages.answers import Answer


class Tokens(Answer):
    access_token: str
    refresh_token: str
    expires_in: int


class CodeSent(Answer):
    retry_after: int


class Counter(Answer):
    """A counter that one may stand at."""

    merchant_id: UUID
    merchant_name: str
    store_id: str
    store_name: str
    standing: str
    suspended: bool

    @property
    def path(self) -> str:
        """Where its page is."""
        return f"/shop/{self.merchant_id}/{self.store_id}"

    @property
    def api(self) -> str:
        """Where its API is."""
        return f"/api/points/counter/{self.merchant_id}/{self.store_id}"


class Counters(Answer):
    items: list[Counter]


class Seen(Answer):
    """What a code stands for."""

    coupon_id: str
    reward_title: str
    face_fen: int
    payable_fen: int
    expires_at: datetime
    used_here_at: datetime | None
    usable: bool
    reason: str | None
    token: str | None


class Used(Answer):
    use_no: str


class Undone(Answer):
    use_no: str


class Use(Answer):
    """A use on today's list."""

    coupon_id: str
    use_no: str
    reward_title: str
    face_fen: int
    payable_fen: int
    used_at: datetime
    returned_at: datetime | None
    returnable_until: datetime | None
    operator_id: UUID | None
    operator_name: str | None


class Today(Answer):
    """What today came to."""

    day: date
    used: int
    returned: int
    face_fen: int
    payable_fen: int
    items: list[Use]
    next_cursor: str | None


class Clerk(Answer):
    id: UUID
    store_id: str
    name: str
    state: str


class Clerks(Answer):
    items: list[Clerk]
    next_cursor: str | None


class Invitation(Answer):
    """An invitation with its code."""

    clerk: Clerk
    code: str
    code_expires_at: datetime
