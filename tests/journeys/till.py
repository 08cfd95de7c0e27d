"""A merchant's till: requests signed and replies checked by the openssl command line."""

import json
import time
from datetime import UTC, datetime
from functools import partial
from typing import Any

import httpx2

from tests import openssl, signing


class Till:
    """One till of a merchant. Every reply to it must bear a good signature of the platform's."""

    def __init__(self, client: httpx2.Client, merchant: dict[str, Any]) -> None:
        self.client = client
        self.mchid: str = merchant["mchid"]
        self.serial_no: str = merchant["serial_no"]
        self.private_key: str = merchant["private_key"]
        self.store_id: str = merchant["store_ids"][0]
        self.platform_keys = signing.platform_keys_of(client.get("/merchant/v1/platform-keys"))

    def call(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        nonce: str | None = None,
        timestamp: int | None = None,
        tampered: bool = False,
    ) -> httpx2.Response:
        """A signed request to `/merchant/v1` + path. `tampered`: another body is sent than was signed."""
        target = f"/merchant/v1{path}"
        content = json.dumps(body, ensure_ascii=False).encode() if body is not None else b""
        authorization = signing.authorization(
            partial(openssl.sign, self.private_key),
            method,
            target,
            content,
            mchid=self.mchid,
            serial_no=self.serial_no,
            timestamp=timestamp if timestamp is not None else int(time.time()),
            nonce=nonce,
        )
        headers = {"Authorization": authorization, "Content-Type": "application/json"}
        sent = content.replace(b"{", b"{ ", 1) if tampered else content
        answer = self.client.request(method, target, content=sent, headers=headers)
        assert signing.is_signed(answer, self.platform_keys), answer.headers
        return answer

    def use_body(self, code: str, number: str) -> dict[str, Any]:
        """The body with which the coupon that shows this code is redeemed."""
        return {
            "coupon_code": code,
            "store_id": self.store_id,
            "use_time": datetime.now(UTC).isoformat(timespec="seconds"),
            "out_request_no": number,
            "out_trade_no": f"T{number}",
        }

    def use(self, code: str, number: str) -> httpx2.Response:
        """Redeem the coupon that shows this code."""
        return self.call("POST", "/coupons/use", self.use_body(code, number))
