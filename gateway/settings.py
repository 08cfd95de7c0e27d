"""Settings of the gateway process."""

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from chassis.core.settings import ProcessSettings

Network = IPv4Network | IPv6Network

MIB = 1024 * 1024


class GatewaySettings(ProcessSettings):
    """What the gateway reads from the environment (`BEIYUAN_*`); lists are separated by commas.

    The gateway runs in front of the open internet, so everything it accepts has a bound here: how much, how fast, how
    long. Addresses of the services are `BEIYUAN_IDENTITY_URL` and so on, as for every process.
    """

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8000, ge=0, le=65535, description="Port to listen on.")
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="Origins whose pages may call the API, e.g. https://app.example.org. None by default."
    )
    trusted_proxies: Annotated[tuple[Network, ...], NoDecode] = Field(
        default=(), description="Networks of the proxies in front of us, whose X-Forwarded-For and -Proto count."
    )

    limit_window_seconds: int = Field(default=60, ge=1, le=3600, description="Window of the limits below.")
    limit_per_address: int = Field(default=1200, ge=1, description="Requests an address (IPv6: a /64) and window.")
    limit_per_person: int = Field(default=600, ge=1, description="Requests a signed-in person and window.")
    limit_on_loopback: int = Field(
        default=1_000_000, ge=1, description="Stands in for both limits when the client is on this machine."
    )

    body_bytes: int = Field(
        default=4 * MIB, ge=1024, description="Longest request body: a batch of 5,000 transfers has room in it."
    )
    upload_bytes: int = Field(default=61 * MIB, ge=1024, description="The same for photos: six of 10 MiB and the form.")
    body_seconds: float = Field(
        default=30, gt=0, le=3600, description="A request body must have come in by then (408)."
    )
    upload_seconds: float = Field(default=180, gt=0, le=3600, description="The same for photos, on a slow phone.")
    answer_seconds: float = Field(
        default=30, gt=0, le=3600, description="A service must begin to answer by then (504)."
    )
    transfer_seconds: float = Field(default=300, gt=0, le=3600, description="The answer must be through by then.")

    home_part_seconds: float = Field(
        default=3, gt=0, le=60, description="A part of `/api/home` must be there by then, or it is missing."
    )

    connect_seconds: float = Field(
        default=2, gt=0, le=60, description="Connecting to a service over the network (503)."
    )
    connections: int = Field(default=100, ge=1, le=10_000, description="Connections kept to each service.")
    openapi_seconds: float = Field(default=60, ge=0, description="How long the merged OpenAPI document is kept.")

    @field_validator("cors_origins", "trusted_proxies", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return [item.strip() for item in value.split(",") if item.strip()] if isinstance(value, str) else value

    @field_validator("cors_origins")
    @classmethod
    def _no_wildcard(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            scheme, _, rest = origin.partition("://")
            if scheme not in {"http", "https"} or not rest or "/" in rest or "*" in rest:
                raise ValueError(f"{origin!r} is not an origin such as https://app.example.org")
        return value

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _networks(cls, value: object) -> object:
        return (
            [ip_network(item) if isinstance(item, str) else item for item in value]
            if isinstance(value, list)
            else value
        )
