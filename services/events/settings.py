"""Settings of the events service."""

from pydantic import Field, SecretStr

from chassis.core.settings import ServiceSettings


class EventsSettings(ServiceSettings):
    """What the events service reads from the environment (`BEIYUAN_*`)."""

    database_url: SecretStr = Field(
        validation_alias="BEIYUAN_EVENTS_DATABASE_URL", description="PostgreSQL, as the events role."
    )
