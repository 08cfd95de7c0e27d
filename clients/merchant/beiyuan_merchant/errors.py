"""What can come out of a call but its answer."""

from collections.abc import Mapping
from typing import Any


class Error(Exception):
    """Anything that this package raises."""


class NotUsable(Error):
    """A key, an address or a parameter that cannot be worked with. Nothing was sent."""


class Refused(Error):
    """The platform says no, and signed it: no attempt of this call did anything new.

    `code` is what programs look at: COUPON_USED, COUPON_NOT_FOUND … Under the same number the answer stays the same but
    for 400 (PARAM_ERROR) and 401 (SIGN_ERROR, TIMESTAMP_EXPIRED), which take no number: mend the cause and repeat.
    `request_id` is for asking the platform's operators.
    """

    def __init__(
        self, status: int, code: str, message: str, detail: Mapping[str, Any], request_id: str | None = None
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.detail = detail
        self.request_id = request_id


class OutcomeUnknown(Error):
    """No answer, or none that is signed: it may have been done or not.

    Ask `Client.request` what became of the number, or repeat the call with the same number and parameters: it is never
    done twice. `reason` says what was seen last; `status`, `code` (of a signed answer) and `retry_after` (seconds) tell
    more where they are known. With a code of 400 or 401 the last attempt was turned away, while an earlier one may have
    been carried out: mend the cause, then ask or repeat.
    """

    def __init__(
        self, reason: str, *, status: int | None = None, code: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status
        self.code = code
        self.retry_after = retry_after


class BadWebhook(Error):
    """A notice that is not from the platform, or too old. Answer it with 400."""


class BadBill(Error):
    """A bill that is no gzip file, or whose SHA-256 is not the one that the platform gave."""
