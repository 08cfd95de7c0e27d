"""What is refused of webhooks."""

from chassis.core.errors import Conflict, FieldError, Invalid, NotFound, TooManyRequests


class EndpointNotFound(NotFound):
    """There is none, or it is another merchant's: which of the two is not said."""

    code = "webhook_endpoint_not_found"
    title, title_zh = "There is no such webhook endpoint", "没有这个通知地址"


class DeliveryNotFound(NotFound):
    code = "webhook_delivery_not_found"
    title, title_zh = "There is no such delivery", "没有这条通知记录"


class UrlNotAcceptable(Invalid):
    """The address is not one that may be called; the reason stands with the field."""

    code = "webhook_url_not_acceptable"
    title, title_zh = "This address cannot be told", "通知地址不符合要求"

    def __init__(self, reason: str) -> None:
        super().__init__(fields=[FieldError("body.url", reason)])


class TooManyEndpoints(Conflict):
    code = "too_many_webhook_endpoints"
    title, title_zh = "The merchant has as many endpoints as it may", "通知地址数量已达上限"


class EndpointInactive(Conflict):
    """It is paused or disabled: set it active first."""

    code = "webhook_endpoint_inactive"
    title, title_zh = "The endpoint is not told at present", "通知地址未启用"


class TooManyTests(TooManyRequests):
    """The merchant has asked for as many tests as it may within a minute."""

    code = "too_many_webhook_tests"
    title, title_zh = "Too many tests within a minute", "测试通知发送过于频繁"


class DeliveryPending(Conflict):
    """It is being tried already."""

    code = "webhook_delivery_pending"
    title, title_zh = "The delivery is still being tried", "通知仍在发送中"
