"""商户核销接口客户端: redeem the coupons of 和谐北苑 (Harmony Beiyuan) from a till.

    from beiyuan_merchant import Client, Key

    with Client("https://…", mchid="…", key=Key.load("merchant_key.pem", serial_no="…")) as client:
        client.use("11112222333344445555", store_id="store-1", out_request_no="R20261123-0001")

Requests are signed, replies are believed only if they are signed, and what may be repeated is repeated under the same
number. What is left to the caller is in `errors`: `Refused` is a certain no, `OutcomeUnknown` means ask again.
"""

from beiyuan_merchant.client import Client
from beiyuan_merchant.errors import BadBill, BadWebhook, Error, NotUsable, OutcomeUnknown, Refused
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
from beiyuan_merchant.retries import Patience
from beiyuan_merchant.signing import Key
from beiyuan_merchant.webhooks import Event, read_webhook

__all__ = [
    "BadBill",
    "BadWebhook",
    "Bill",
    "Client",
    "Coupon",
    "Error",
    "Event",
    "Key",
    "Locked",
    "NotUsable",
    "OutcomeUnknown",
    "Patience",
    "Prepared",
    "Refused",
    "Request",
    "Returned",
    "SandboxCoupon",
    "Unlocked",
    "Used",
    "read_webhook",
]
