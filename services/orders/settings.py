"""Settings of the orders service."""

from pathlib import Path

from pydantic import Field, SecretStr

from chassis.core.settings import ServiceSettings


class OrdersSettings(ServiceSettings):
    """What the orders service reads from the environment (`BEIYUAN_*`)."""

    database_url: SecretStr = Field(
        validation_alias="BEIYUAN_ORDERS_DATABASE_URL", description="PostgreSQL, as the orders role."
    )
    photos_dir: Path | None = Field(
        default=None, description="Folder of the photos. Default: `photos` in the home folder."
    )
    photo_max_bytes: int = Field(
        default=10_000_000, ge=10_000, le=50_000_000, description="Largest photo file that is taken."
    )
    photo_max_pixels: int = Field(
        default=64_000_000,
        ge=1_000_000,
        le=200_000_000,
        description="Most pixels of a photo (width × height), checked before it is decoded.",
    )
    photos_per_device_hour: int = Field(
        default=120, ge=1, le=1_000_000, description="Photos taken from one address in any hour."
    )
    reports_per_code_hour: int = Field(
        default=300, ge=1, le=1_000_000, description="Reports through one QR code in any hour."
    )
    reports_per_device_hour: int = Field(
        default=60, ge=1, le=1_000_000, description="Reports from one address in any hour; fewer than through one code."
    )
    reports_per_phone_hour: int = Field(
        default=10, ge=1, le=1_000_000, description="Reports with one phone number in any hour."
    )
    open_claims_per_handler: int = Field(
        default=30,
        ge=1,
        le=10_000,
        description="Orders that one handler may have claimed and not yet resolved.",
    )
    link_check_share: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="Share of the good answers by private link that are checked by phone before the order closes.",
    )

    @property
    def photos_path(self) -> Path:
        """The folder that the photos are in."""
        return self.photos_dir or self.home / "photos"
