"""What this service's routes ask for by type, besides the chassis's own."""

from typing import Annotated

from fastapi import Depends, Header, Request

from chassis.web.auth import ClientAddress, runtime_of
from services.orders.photos.storage import PhotoStorage
from services.orders.settings import OrdersSettings


def _settings(request: Request) -> OrdersSettings:
    settings = runtime_of(request).settings
    assert isinstance(settings, OrdersSettings)
    return settings


def _storage(request: Request) -> PhotoStorage:
    storage: PhotoStorage = request.app.state.photo_storage
    return storage


def _device(request: Request, address: ClientAddress, user_agent: Annotated[str, Header()] = "") -> bytes:
    return runtime_of(request).vault.fingerprint(f"{address}\n{user_agent}", "device")


SettingsDep = Annotated[OrdersSettings, Depends(_settings)]
StorageDep = Annotated[PhotoStorage, Depends(_storage)]

DeviceDep = Annotated[bytes, Depends(_device)]
"""A keyed hash of the device's address and browser: for limits, and of no use to whoever reads the table."""
