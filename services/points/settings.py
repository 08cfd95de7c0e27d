"""Settings of the points service."""

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
