"""A merchant's till: requests signed and replies checked by the openssl command line."""

import json
import secrets
import time
from datetime import UTC, datetime
from typing import Any

import httpx2

from tests import openssl


class Till:
    """One till of a merchant. Every reply to it must bear a good signature of the platform's."""

    def __init__(self, client: httpx2.Client, merchant: dict[str, Any]) -> None:
        self.client = client
        self.mchid: str = merchant["mchid"]
        self.serial_no: str = merchant["serial_no"]
        self.private_key: str = merchant["private_key"]
        self.store_id: str = merchant["store_ids"][0]
        answer = client.get("/merchant/v1/platform-keys")
        assert answer.status_code == 200, answer.text
        self.platform_keys = {item["serial_no"]: item["public_key"] for item in answer.json()["keys"]}

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
        headers = {
            "Authorization": self.authorization(method, target, content, nonce=nonce, timestamp=timestamp),
            "Content-Type": "application/json",
        }
        sent = content.replace(b"{", b"{ ", 1) if tampered else content
        answer = self.client.request(method, target, content=sent, headers=headers)
        assert self.is_signed(answer), answer.headers
        return answer

    def authorization(
        self, method: str, target: str, content: bytes, *, nonce: str | None = None, timestamp: int | None = None
    ) -> str:
        """The header for this request."""
        nonce = nonce or secrets.token_hex(16)
        moment = str(timestamp if timestamp is not None else int(time.time()))
        message = "\n".join([method, target, moment, nonce, ""]).encode() + content + b"\n"
        signature = openssl.sign(self.private_key, message)
        return (
            f'HHBY1-SHA256-RSA2048 mchid="{self.mchid}",nonce_str="{nonce}",signature="{signature}",'
            f'timestamp="{moment}",serial_no="{self.serial_no}"'
        )

    def is_signed(self, answer: httpx2.Response) -> bool:
        """Whether the platform signed this reply, with one of the keys that it shows."""
        headers = answer.headers
        message = f"{headers['HHBY-Timestamp']}\n{headers['HHBY-Nonce']}\n".encode() + answer.content + b"\n"
        return openssl.verifies(self.platform_keys[headers["HHBY-Serial"]], message, headers["HHBY-Signature"])

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
