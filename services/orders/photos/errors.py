"""What can go wrong with photos, besides what their content may be like (`chassis.core.pictures`)."""

from chassis.core.errors import Invalid, NotFound, TooManyRequests


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
