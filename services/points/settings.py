"""Settings of the points service."""

from pydantic import Field, SecretStr

from chassis.core.settings import ServiceSettings


class PointsSettings(ServiceSettings):
    """What the points service reads from the environment (`BEIYUAN_*`)."""

    database_url: SecretStr = Field(
        validation_alias="BEIYUAN_POINTS_DATABASE_URL", description="PostgreSQL, as the points role."
    )
