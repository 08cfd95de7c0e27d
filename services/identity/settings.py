"""Settings of the identity service."""

from typing import Literal

from pydantic import Field, SecretStr

from chassis.core.settings import ServiceSettings


class IdentitySettings(ServiceSettings):
    """What the identity service reads from the environment (`BEIYUAN_*`)."""

    database_url: SecretStr = Field(
        validation_alias="BEIYUAN_IDENTITY_DATABASE_URL", description="PostgreSQL, as the identity role."
    )
    code_lifetime_seconds: int = Field(default=300, ge=30, le=3600, description="How long a sign-in code is good.")
    codes_per_phone_hour: int = Field(default=5, ge=1, le=1000, description="Codes sent to one phone in any hour.")
    tries_per_code: int = Field(default=6, ge=1, le=20, description="Wrong tries that kill a code.")
    codes_per_address_hour: int = Field(
        default=30, ge=1, le=1_000_000, description="Codes asked for by one client address in a clock hour."
    )
    wrong_tries_per_address_hour: int = Field(
        default=60, ge=1, le=1_000_000, description="Wrong codes from one client address in a clock hour."
    )
    wrong_invitations_per_person_hour: int = Field(
        default=10, ge=1, le=1_000_000, description="Wrong invitation codes from one person in a clock hour."
    )
    wrong_invitations_per_address_hour: int = Field(
        default=60, ge=1, le=1_000_000, description="Wrong invitation codes from one client address in a clock hour."
    )
    loopback_factor: int = Field(
        default=1,
        ge=1,
        le=1000,
        description="Callers on this machine may ask and try this many times more (but never more tries a "
        "code). For demonstrations; where a proxy on this machine hides the real addresses, leave it at 1.",
    )
    access_token_seconds: int = Field(default=600, ge=60, le=3600, description="Life of an access token.")
    refresh_token_days: int = Field(default=30, ge=1, le=365, description="Life of an unused refresh token.")
    refresh_repeat_seconds: int = Field(
        default=30, ge=0, le=300, description="How long the refresh token just spent may be repeated."
    )
    sms_sender: Literal["console"] = Field(
        default="console", description="How codes are sent. `console` writes them to the standard output."
    )
