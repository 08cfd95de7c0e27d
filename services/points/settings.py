"""Settings of the points service."""

from pathlib import Path

from pydantic import Field, SecretStr

from chassis.core.settings import ServiceSettings


class PointsSettings(ServiceSettings):
    """What the points service reads from the environment (`BEIYUAN_*`)."""

    database_url: SecretStr = Field(
        validation_alias="BEIYUAN_POINTS_DATABASE_URL", description="PostgreSQL, as the points role."
    )
    merchant_requests_per_address: int = Field(
        default=12000, ge=1, description="Requests a minute under /merchant/v1 from one address but this machine's."
    )
    merchant_requests_per_merchant: int = Field(
        default=6000, ge=1, description="The same under one merchant's signatures, over all its tills."
    )
    hand_posting_limit: int = Field(
        default=1000,
        ge=0,
        description="Points that one administrator may post by hand at once; above it a second one must approve.",
    )
    hand_posting_day_limit: int = Field(
        default=5000,
        ge=0,
        description="The same for all that one administrator posts alone in a day, in however many postings.",
    )
    seals_dir: Path | None = Field(
        default=None, description="Folder that signed heads are published in. Default: `seals` in the home folder."
    )
    seal_seconds: int = Field(
        default=5, ge=1, le=86400, description="How often new transfers are sealed and a head is signed."
    )

    webhook_local_addresses: bool = Field(
        default=False,
        description="Let webhooks go to private and loopback addresses and by http, to try them on one machine.",
    )

    @property
    def seals_path(self) -> Path:
        """The folder that signed heads are published in."""
        return self.seals_dir or self.home / "seals"
