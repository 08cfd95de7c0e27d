"""Bodies of signing in."""

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from chassis.core.schema import In, Out, Phone, Text

Code = Annotated[str, StringConstraints(strict=True, pattern=r"^[0-9]{6}$")]
RefreshToken = Annotated[str, Text(200)]


class CodeRequest(In):
    """Ask for a sign-in code."""

    phone: Phone


class CodeSent(Out):
    """A code is on its way, if the phone can receive one. Says nothing about whether the phone is known."""

    expires_in: int = Field(description="Seconds for which the code is good.")
    retry_after: int = Field(description="Seconds until another code may be sent; 0 if at once.")


class TokenRequest(In):
    """A code for tokens."""

    phone: Phone
    code: Code
    privacy_notice: Annotated[str, Text(40)] | None = Field(
        default=None,
        description="Version of the privacy notice that was read and accepted; a new resident must.",
    )
    name: Annotated[str, Text(50)] | None = Field(
        default=None, description="What a new resident is called; ignored where the phone is known."
    )


class RefreshRequest(In):
    """A refresh token, to be spent or revoked."""

    refresh_token: RefreshToken


class Tokens(Out):
    """What a client signs its requests with, and what it gets the next with."""

    access_token: str
    refresh_token: str
    token_type: Literal["Bearer"]
    expires_in: int = Field(description="Seconds for which the access token is good.")


class PrivacyNotice(Out):
    """The privacy notice 隐私告知 in force."""

    version: str
    text: str = Field(description="In Chinese.")


class PublicKeys(Out):
    """JSON Web Key Set (RFC 7517): the keys that access tokens are signed with."""

    keys: list[dict[str, Any]]
