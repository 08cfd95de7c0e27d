"""What can go wrong at signing in."""

from chassis.core.errors import FieldError, Invalid, TooManyRequests, Unauthenticated


class TooManyCodes(TooManyRequests):
    """This phone, or this address, has had all the codes that it may have within the hour."""

    code = "too_many_codes"
    title, title_zh = "Too many codes were asked for", "验证码发送过于频繁"


class TooManyTries(TooManyRequests):
    """This address has offered too many wrong codes within the hour."""

    code = "too_many_tries"
    title, title_zh = "Too many wrong codes", "验证码错误次数过多"


class CodeInvalid(Invalid):
    """The code is wrong, used, expired or killed by wrong tries. Which of them is not told."""

    code = "code_invalid"
    keeps_changes = True  # the try stays counted
    title, title_zh = "The code is wrong or no longer valid", "验证码错误或已失效"

    def __init__(self) -> None:
        super().__init__(
            "Try again, or ask for a new code.",
            fields=[FieldError("body.code", "is wrong, was used, or has expired")],
        )


class PrivacyNoticeRequired(Invalid):
    """A new resident must accept the current privacy notice first. The code remains good."""

    code = "privacy_notice_required"
    title, title_zh = "Accept the privacy notice first", "请先阅读并同意隐私告知"

    def __init__(self, version: str) -> None:
        path = "/api/identity/privacy-notice"
        super().__init__(
            f"Read version {version} at {path} and send its version as `privacy_notice`, with the same code.",
            fields=[FieldError("body.privacy_notice", f"must be {version}, the current version")],
            headers={"Link": f'<{path}>; rel="privacy-policy"'},
        )

    @property
    def repeats(self) -> bool:
        return False


class RefreshInvalid(Unauthenticated):
    """The refresh token is unknown, expired or signed out."""

    code = "refresh_invalid"
    title, title_zh = "Sign in again", "登录已失效，请重新登录"


class RefreshReused(Unauthenticated):
    """The refresh token was spent before, so somebody has a copy: its whole family has ended."""

    code = "refresh_reused"
    keeps_changes = True  # the family stays ended
    title, title_zh = "This refresh token was used before; sign in again", "登录凭证被重复使用，请重新登录"
