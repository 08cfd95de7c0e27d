"""The operations of the merchant API, one method each."""

import gzip
import hashlib
import json
import time
import zlib
from collections.abc import Mapping
from datetime import UTC, date, datetime
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx2
from pydantic import ValidationError

from beiyuan_merchant.errors import BadBill, NotUsable, OutcomeUnknown, Refused
from beiyuan_merchant.models import (
    Bill,
    Coupon,
    Locked,
    Prepared,
    Request,
    Returned,
    SandboxCoupon,
    Unlocked,
    Used,
)
from beiyuan_merchant.platform import PlatformKeys
from beiyuan_merchant.retries import Patience, is_worth_repeating
from beiyuan_merchant.signing import Key, authorization, new_nonce

_PATH = "/merchant/v1"

Answer = TypeVar("Answer", Coupon, Locked, Prepared, Request, Returned, SandboxCoupon, Unlocked, Used)


class Client:
    """A merchant's way to the platform. May be shared by threads; close it, or use it in a `with` block.

    `base_url` is a scheme and a host, without a path (https, but on one machine).
    `platform_keys` (PEM by serial number) are trusted from the start; others are fetched. `transport` is for whoever
    goes out by a way of their own. Every method raises Refused (a certain, signed no), OutcomeUnknown (repeat with the
    same number and parameters, or ask `request`) and NotUsable.
    """

    def __init__(
        self,
        base_url: str,
        *,
        mchid: str,
        key: Key,
        platform_keys: Mapping[str, str] | None = None,
        patience: Patience | None = None,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self._mchid = mchid
        self._key = key
        self._patience = patience or Patience()
        # No redirect is followed: a signature is for one address. What the environment says of proxies holds.
        self._http = httpx2.Client(
            base_url=_address(base_url),
            timeout=self._patience.attempt_seconds,
            follow_redirects=False,
            transport=transport,
        )
        self._platform = PlatformKeys(self._fetch_platform_keys, platform_keys)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection."""
        self._http.close()

    def echo(self, words: str = "") -> dict[str, Any]:
        """验签自检: whether signatures are right both ways. Does nothing."""
        return self._ask("POST", "/echo", {"words": words})

    def prepare(self, coupon_code: str, *, store_id: str) -> Prepared:
        """核销准备: what a code is, and whether it can be used."""
        body = {"coupon_code": coupon_code, "store_id": store_id}
        return self._read(Prepared, self._ask("POST", "/coupons/prepare", body))

    def lock(
        self, coupon_code: str | None = None, *, prepare_token: str | None = None, store_id: str, out_request_no: str
    ) -> Locked:
        """锁定: keep a coupon for this till, for at most 15 minutes."""
        body = _which(coupon_code, prepare_token) | {"store_id": store_id, "out_request_no": out_request_no}
        return self._read(Locked, self._ask("POST", "/coupons/lock", body))

    def unlock(self, coupon_id: str, *, store_id: str, out_request_no: str) -> Unlocked:
        """解锁: give it back before its lock lapses by itself."""
        body = {"coupon_id": coupon_id, "store_id": store_id, "out_request_no": out_request_no}
        return self._read(Unlocked, self._ask("POST", "/coupons/unlock", body))

    def use(
        self,
        coupon_code: str | None = None,
        *,
        prepare_token: str | None = None,
        store_id: str,
        out_request_no: str,
        out_trade_no: str | None = None,
        use_time: datetime | None = None,
    ) -> Used:
        """核销: redeem a coupon, by its code or a token in its place.

        Write `out_request_no` and `use_time` down before: with them the same call can be made again after a power cut,
        and is answered as the first time. `use_time` is now, unless it is said; it needs an offset.
        """
        at = use_time or datetime.now(UTC)
        if at.tzinfo is None:
            raise NotUsable("use_time has no offset")
        body = _which(coupon_code, prepare_token) | {
            "store_id": store_id,
            "use_time": at.isoformat(timespec="seconds"),
            "out_request_no": out_request_no,
        }
        if out_trade_no is not None:
            body["out_trade_no"] = out_trade_no
        return self._read(Used, self._ask("POST", "/coupons/use", body))

    def return_use(self, coupon_id: str, use_no: str, *, store_id: str, out_request_no: str) -> Returned:
        """退回: undo a use, within 60 minutes."""
        body = {"coupon_id": coupon_id, "use_no": use_no, "store_id": store_id, "out_request_no": out_request_no}
        return self._read(Returned, self._ask("POST", "/coupons/return", body))

    def coupon(self, coupon_id: str) -> Coupon:
        """查询券, by its id of 14 digits."""
        return self._read(Coupon, self._ask("GET", f"/coupons/{_part(coupon_id)}"))

    def request(self, operation: str, out_request_no: str) -> Request:
        """查询请求结果: what became of a call of `use`, `lock`, `unlock` or `return`. Refused (REQUEST_NOT_FOUND) says
        that nothing was done under the number so far.
        """
        return self._read(Request, self._ask("GET", f"/requests/{_part(operation)}/{_part(out_request_no)}"))

    def issue_sandbox_coupon(self, **wanted: Any) -> SandboxCoupon:
        """沙箱发券: under a sandbox key, a coupon to try with. `wanted`: `reward_title`, `face_fen`, `payable_fen` and
        `valid_seconds`, where the usual ones will not do. Where the answer is lost, ask for another.
        """
        return self._read(SandboxCoupon, self._ask("POST", "/sandbox/coupons", wanted))

    def sandbox_coupon(self, coupon_id: str) -> SandboxCoupon:
        """沙箱券码: such a coupon, and the code that it shows now."""
        return self._read(SandboxCoupon, self._ask("GET", f"/sandbox/coupons/{_part(coupon_id)}"))

    def daily_bill(self, bill_date: date) -> Bill:
        """日账单, from ten o'clock of the next day on. Raises BadBill where it is not of the SHA-256 that was said."""
        response = self._send("GET", f"/bills/daily?bill_date={bill_date.isoformat()}", b"")
        try:
            csv = gzip.decompress(response.content)
        except (OSError, EOFError, zlib.error) as error:
            raise BadBill(f"it is no gzip file: {error}") from error
        said, found = response.headers.get("HHBY-Bill-SHA256", ""), hashlib.sha256(csv).hexdigest()
        if said.lower() != found:
            raise BadBill(f"its SHA-256 is {found}, and should be {said or 'said'}")
        return Bill(bill_date.isoformat(), csv, found)

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        content = b"" if body is None else json.dumps(body, ensure_ascii=False).encode()
        return _content(self._send(method, path, content))

    def _read(self, kind: type[Answer], body: dict[str, Any]) -> Answer:
        try:
            return kind.model_validate(body)
        except ValidationError as error:
            raise OutcomeUnknown(f"a signed answer that this version cannot read: {error}") from error

    def _send(self, method: str, path: str, content: bytes) -> httpx2.Response:
        """The platform's signed yes. Each attempt is signed anew; the number within the body stays the same."""
        end = time.monotonic() + self._patience.seconds
        pauses = self._patience.pauses()
        may_be_done = False
        while True:
            pause = next(pauses)
            try:
                return self._attempt(method, _PATH + path, content)
            except _Again as again:
                pause = max(pause, again.after_seconds)
                if time.monotonic() + pause > end:
                    raise again.final from again
                may_be_done = may_be_done or again.may_be_done
            except Refused as no:
                if may_be_done and no.status in {400, 401}:  # of this attempt alone: the number was not looked up
                    raise _undecided(no) from no
                raise
            time.sleep(pause)

    def _attempt(self, method: str, target: str, content: bytes) -> httpx2.Response:
        nonce = new_nonce()
        signed = authorization(self._key, self._mchid, method, target, content, timestamp=int(time.time()), nonce=nonce)
        headers = {"Authorization": signed, "Content-Type": "application/json", "Accept-Encoding": "identity"}
        try:
            response = self._http.request(method, target, content=content, headers=headers)
            genuine = self._platform.signed(response, nonce)
        except httpx2.HTTPError as error:
            raise _Again(OutcomeUnknown(f"no answer: {type(error).__name__}"), may_be_done=True) from error
        if not genuine:
            pause = _retry_after(response)
            unknown = OutcomeUnknown(_unsigned(response), status=response.status_code, retry_after=pause)
            if 300 <= response.status_code < 500 and response.status_code not in {408, 429}:
                raise unknown  # whoever it was will say the same again
            raise _Again(unknown, may_be_done=True)
        if response.status_code == 200:
            return response
        refused = _refusal(response)
        if is_worth_repeating(refused.status, refused.code):
            raise _Again(_undecided(refused, _retry_after(response)), may_be_done=refused.status != 429)
        raise refused

    def _fetch_platform_keys(self) -> dict[str, str]:
        response = self._http.get(_PATH + "/platform-keys").raise_for_status()
        try:
            return {item["serial_no"]: item["public_key"] for item in response.json()["keys"]}
        except (ValueError, TypeError, KeyError) as error:  # whoever answered was not the platform
            raise httpx2.DecodingError("no platform keys", request=response.request) from error


class _Again(Exception):  # it is no failure yet
    """An attempt that is worth repeating; `final` is what is raised where no time is left.

    `may_be_done`: whatever a later attempt is told of itself, this one may have been carried out.
    """

    def __init__(self, final: OutcomeUnknown, *, may_be_done: bool) -> None:
        super().__init__(str(final))
        self.final = final
        self.after_seconds = final.retry_after or 0.0
        self.may_be_done = may_be_done


def _undecided(refused: Refused, retry_after: float | None = None) -> OutcomeUnknown:
    return OutcomeUnknown(str(refused), status=refused.status, code=refused.code, retry_after=retry_after)


def _address(base_url: str) -> httpx2.URL:
    """Where the platform is. Raises NotUsable unless it is a scheme and a host: the path is signed as we write it."""
    try:
        url = httpx2.URL(base_url)
    except httpx2.InvalidURL as error:
        raise NotUsable(f"{base_url!r} is no address: {error}") from error
    if url.scheme not in {"http", "https"} or not url.host or url.path != "/" or url.query:
        raise NotUsable(f"{base_url!r} is not of the form https://host")
    return url


def _which(coupon_code: str | None, prepare_token: str | None) -> dict[str, str]:
    if (coupon_code is None) == (prepare_token is None):
        raise NotUsable("exactly one of coupon_code and prepare_token says which coupon it is")
    return {"coupon_code": coupon_code} if coupon_code is not None else {"prepare_token": prepare_token or ""}


def _part(word: str) -> str:
    """A word as part of a path: numbers and ids need no escaping, and what would is none."""
    if not word or not all(character.isascii() and (character.isalnum() or character in "_-") for character in word):
        raise NotUsable(f"{word!r} is no number or id")
    return word


def _content(response: httpx2.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError as error:
        raise _unread(response, error) from error
    if not isinstance(body, dict):
        raise _unread(response, "no JSON object")
    return body


def _refusal(response: httpx2.Response) -> Refused:
    body = _content(response)
    try:
        code, message, detail = str(body["code"]), str(body["message"]), dict(body["detail"])
    except (KeyError, TypeError, ValueError) as error:
        raise _unread(response, f"no code, message and detail: {error!r}") from error
    return Refused(response.status_code, code, message, detail, response.headers.get("Request-ID"))


def _unread(response: httpx2.Response, why: object) -> OutcomeUnknown:
    return OutcomeUnknown(f"a signed answer that this version cannot read: {why}", status=response.status_code)


def _unsigned(response: httpx2.Response) -> str:
    hint = ""
    if response.status_code == 401:
        hint = "; if mchid and serial_no are right, the key is not on record"
    return f"an answer without a good signature (status {response.status_code}{hint})"


def _retry_after(response: httpx2.Response) -> float | None:
    word = response.headers.get("Retry-After", "")
    return float(word) if word.isdecimal() else None
