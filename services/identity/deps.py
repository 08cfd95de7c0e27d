"""What this service's routes ask for by type, besides the chassis's own."""

from typing import Annotated

from fastapi import Depends, Request

from chassis.web.auth import runtime_of
from services.identity.settings import IdentitySettings


async def _settings(request: Request) -> IdentitySettings:
    settings = runtime_of(request).settings
    assert isinstance(settings, IdentitySettings)
    return settings


SettingsDep = Annotated[IdentitySettings, Depends(_settings)]
