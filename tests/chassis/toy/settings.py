"""Settings of the toy services."""

from pydantic import Field, SecretStr

from chassis.core.settings import ServiceSettings


class ToySettings(ServiceSettings):
    """What a toy service reads from the environment."""

    database_url: SecretStr = Field(validation_alias="TOY_DATABASE_URL")
