"""Settings that every service process has. Each service derives one documented class from this."""

import os
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


def default_home() -> Path:
    """`BEIYUAN_HOME`, or `.beiyuan/` in the current folder: where data, keys, photos and logs lie."""
    return Path(os.environ.get("BEIYUAN_HOME") or ".beiyuan").absolute()


class ProcessSettings(BaseSettings):
    """What the gateway and every service read from the environment (`BEIYUAN_*`)."""

    model_config = SettingsConfigDict(env_prefix="BEIYUAN_", env_ignore_empty=True, extra="ignore", frozen=True)

    home: Path = Field(default_factory=default_home, description="Where data, keys and photos lie.")
    keys_dir: Path | None = Field(
        default=None,
        description="Folder of key files (see `beiyuan keys init`). Default: `keys` in the home folder.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severe log line."
    )
    log_format: Literal["text", "json"] = Field(default="text", description="`json` for machines that collect logs.")
    identity_url: str | None = Field(
        default=None, description="Address of the identity service, e.g. http://10.0.0.5:8101."
    )
    orders_url: str | None = Field(default=None, description="Address of the orders service.")
    events_url: str | None = Field(default=None, description="Address of the events service.")
    points_url: str | None = Field(default=None, description="Address of the points service.")

    @property
    def keys_path(self) -> Path:
        """The folder that the key files are in."""
        return self.keys_dir or self.home / "keys"

    @property
    def peer_urls(self) -> dict[str, str]:
        """The configured addresses of the services, by service name."""
        urls = {
            "identity": self.identity_url,
            "orders": self.orders_url,
            "events": self.events_url,
            "points": self.points_url,
        }
        return {name: url for name, url in urls.items() if url}


class ServiceSettings(ProcessSettings):
    """What every service reads. Its own class puts `database_url` under its own variable and adds its own settings."""

    database_url: SecretStr
    db_pool_size: int = Field(default=10, ge=1, le=200, description="Database connections kept for requests.")
    db_pool_overflow: int = Field(default=10, ge=0, le=200, description="Further connections at peak times.")
    db_pool_timeout_seconds: float = Field(default=5.0, gt=0, le=60, description="Wait for a connection before 503.")
    lock_timeout_seconds: float = Field(default=3.0, gt=0, le=60, description="Wait for a row lock before 503.")
    db_connect_timeout_seconds: int = Field(default=5, ge=2, le=60, description="Wait for a new connection.")
    idle_transaction_timeout_seconds: float = Field(
        default=5.0, gt=0, le=600, description="Longest silence within a transaction before the server ends it."
    )
    statement_timeout_seconds: float = Field(default=15.0, gt=0, le=600, description="Longest single statement.")
    jobs_enabled: bool = Field(default=True, description="Run this service's background jobs in this process.")
    relay_enabled: bool = Field(default=True, description="Send this service's messages from this process.")
    relay_poll_seconds: float = Field(
        default=1.0, gt=0, le=60, description="How often to look for unsent messages unasked."
    )
    relay_backoff_max_seconds: float = Field(
        default=60.0, gt=0, le=3600, description="Longest pause between two tries."
    )
