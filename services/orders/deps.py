"""What this service's routes ask for by type, besides the chassis's own."""

from typing import Annotated

from fastapi import Depends, Request

from chassis.core.addresses import network_of
from chassis.web.auth import ClientAddress, runtime_of
from services.orders.photos.storage import PhotoStorage
from services.orders.settings import OrdersSettings


async def _settings(request: Request) -> OrdersSettings:
    settings = runtime_of(request).settings
    assert isinstance(settings, OrdersSettings)
    return settings


async def _storage(request: Request) -> PhotoStorage:
    storage: PhotoStorage = request.app.state.photo_storage
    return storage


async def _device(request: Request, address: ClientAddress) -> bytes:
    return runtime_of(request).vault.fingerprint(network_of(address), "device")


SettingsDep = Annotated[OrdersSettings, Depends(_settings)]
StorageDep = Annotated[PhotoStorage, Depends(_storage)]

DeviceDep = Annotated[bytes, Depends(_device)]
"""A keyed hash of where the request comes from: for limits, and of no use to whoever reads the table.

Nothing that the device says of itself goes into it (a cookie, its browser), since a flood would say something new each
time. So a house behind one address counts as one device, and the limits leave room for that.
"""
