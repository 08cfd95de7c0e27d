"""What photos need on a schedule."""

from chassis.core import clock
from chassis.core.jobs import Jobs
from chassis.core.runtime import Runtime
from services.orders.photos import actions
from services.orders.photos.storage import LocalFolder
from services.orders.settings import OrdersSettings

jobs = Jobs()


@jobs.periodic("orders.sweep_photos", cron="*/5 * * * *")
async def sweep_photos(runtime: Runtime) -> None:
    """Every five minutes, photos that nobody attached within their hour vanish."""
    assert isinstance(runtime.settings, OrdersSettings)
    await actions.sweep(runtime.db, LocalFolder(runtime.settings.photos_path), clock.now())
