"""What can go wrong with places and their codes."""

from chassis.core.errors import DomainError, Invalid, NotFound


class QrCodeUnknown(NotFound):
    code = "qr_code_unknown"
    title, title_zh = "There is no such code", "没有这个二维码"


class QrCodeRevoked(DomainError):
    status, code = 410, "qr_code_revoked"
    title, title_zh = "This code is no longer in use", "此二维码已停用"


class UnitUnknown(Invalid):
    code = "unit_unknown"
    title, title_zh = "There is no such unit", "没有这个单位"


class PlaceUnknown(Invalid):
    code = "place_unknown"
    title, title_zh = "There is no such place", "没有这个地点"
