"""What signing in works with in this process."""

from dataclasses import dataclass
from datetime import timedelta

from joserfc.jwk import OKPKey

from chassis.core.tokens import encode_access_token
from services.identity.settings import IdentitySettings
from services.identity.signin import rules
from services.identity.signin.actions import SignedIn
from services.identity.signin.schemas import Tokens
from services.identity.signin.senders import SmsSender


@dataclass
class Desk:
    """Settings, keys and sender. `demo_code`, in demonstrations only, is every phone's code."""

    settings: IdentitySettings
    signing_keys: list[OKPKey]
    sender: SmsSender
    demo_code: str | None = None

    def limits(self, address: str) -> rules.Limits:
        """The limits for a caller at this address."""
        limits = rules.Limits(
            codes_per_phone=self.settings.codes_per_phone_hour,
            tries_per_code=self.settings.tries_per_code,
            codes_per_address=self.settings.codes_per_address_hour,
            wrong_tries_per_address=self.settings.wrong_tries_per_address_hour,
        )
        return limits.times(self.settings.loopback_factor) if rules.is_loopback(address) else limits

    @property
    def refresh_lifetime(self) -> timedelta:
        """How long a refresh token is good if it is not used."""
        return timedelta(days=self.settings.refresh_token_days)

    def tokens(self, signed_in: SignedIn) -> Tokens:
        """The tokens to answer with, signed by the first key."""
        seconds = self.settings.access_token_seconds
        return Tokens(
            access_token=encode_access_token(self.signing_keys[0], signed_in.actor, seconds=seconds),
            refresh_token=signed_in.refresh_token,
            token_type="Bearer",  # noqa: S106  # a scheme's name
            expires_in=seconds,
        )
