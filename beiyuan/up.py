"""`beiyuan up`: everything in one process."""

import time

from rich.console import Console

from beiyuan.demo import town as demo_town
from beiyuan.demo.load import load
from beiyuan.installation import AdminSettings, create_keys, own_database, service_app, service_settings
from beiyuan.migrate import migrate
from beiyuan.names import SERVICES
from beiyuan.process import listen, refuse_public, run
from chassis.core.client import Directory
from gateway.app import create_app
from gateway.pages.front import DemoCode
from gateway.settings import GatewaySettings

_FIXED_CODE = {"demo_code": demo_town.SIGN_IN_CODE}
_GENEROUS = {"loopback_factor": 1000}


def up(out: Console) -> None:
    """Start the database, bring it up to date, load the demo town if asked, and serve until told to stop.

    Raises InstallationError or PostgresError, with the remedy.
    """
    started = time.monotonic()
    admin, gateway_settings = AdminSettings(), GatewaySettings()
    refuse_public(gateway_settings.host)
    listener = listen(gateway_settings.host, gateway_settings.port, setting="BEIYUAN_PORT")
    with listener, own_database(admin) as urls:
        create_keys(admin)
        migrate(urls.admin, urls.services)
        if admin.demo and load(admin, urls):
            out.print("The demo town has been loaded.")
        directory = Directory()
        services = []
        for name in SERVICES:
            demo = name == "identity" and admin.demo
            settings = service_settings(name, database_url=urls.services[name], **(_GENEROUS if demo else {}))
            services.append(service_app(name, settings, directory, **(_FIXED_CODE if demo else {})))
            directory.host(name, services[-1])
        host, port = listener.getsockname()[:2]
        out.print(
            f"和谐北苑 answers on http://{host}:{port} (after {time.monotonic() - started:.1f} s). Ctrl-C ends it.",
            highlight=False,
        )
        gateway = create_app(gateway_settings, directory, demo_codes=_demo_codes() if admin.demo else ())
        run(gateway, listener, gateway_settings, inside=services)
    out.print("和谐北苑 has ended; the data are kept.")


def _demo_codes() -> list[DemoCode]:
    """A code of each kind of place, to be tried from the front page."""
    places = {place.kind: place for place in reversed(demo_town.PLACES.values())}
    return [DemoCode(place.qr_code, place.name) for place in reversed(places.values())]
