"""What can go wrong with photos."""

from chassis.core.errors import DomainError, Invalid, NotFound, TooManyRequests


class PhotoTooLarge(DomainError):
    status, code = 413, "photo_too_large"
    title, title_zh = "The photo is too large", "照片过大"


class PhotoWrongType(DomainError):
    status, code = 415, "photo_wrong_type"
    title, title_zh = "Photos are JPEG, PNG or WebP", "照片须为 JPEG、PNG 或 WebP 格式"


class PhotoUnreadable(Invalid):
    code = "photo_unreadable"
    title, title_zh = "The photo cannot be read", "照片无法读取"


class PhotoUnknown(Invalid):
    """Not uploaded, gone after an hour, or already part of a case."""

    code = "photo_unknown"
    title, title_zh = "There is no such photo to attach", "没有可用的照片"


class PhotoNotFound(NotFound):
    code = "photo_not_found"
    title, title_zh = "There is no such photo", "没有这张照片"


class TooManyPhotos(TooManyRequests):
    code = "too_many_photos"
    title, title_zh = "Too many photos within an hour", "上传过于频繁，请稍后再试"
