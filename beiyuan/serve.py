"""`beiyuan serve`: one service or the gateway in this process; `beiyuan database`: the embedded PostgreSQL alone."""

import shlex
import signal
import socket
import sys

from rich.console import Console

from beiyuan.installation import (
    AdminSettings,
    InstallationError,
    create_keys,
    database_variable,
    own_database,
    service_app,
    service_settings,
)
from beiyuan.names import DEFAULT_PORTS, SERVICES
from beiyuan.process import address_of, is_loopback, listen, refuse_public, run
from chassis.core.client import Directory
from chassis.core.settings import ProcessSettings
from gateway.app import create_app
from gateway.settings import GatewaySettings


def serve_one(name: str) -> None:
    """Serve the gateway or one service until told to stop. Raises InstallationError, KeysMissing."""
    if name == "gateway":
        _serve_gateway()
    else:
        _serve_service(name)


def _serve_gateway() -> None:
    settings = GatewaySettings()
    if missing := [f"BEIYUAN_{name.upper()}_URL" for name in SERVICES if name not in settings.peer_urls]:
        raise InstallationError(f"Set {', '.join(missing)}: the gateway must know where the services are.")
    refuse_public(settings.host)
    with listen(settings.host, settings.port, setting="BEIYUAN_PORT") as listener:
        _announce("gateway", listener)
        run(create_app(settings, Directory(settings.peer_urls)), listener, settings)


def _serve_service(name: str) -> None:
    url = ProcessSettings().peer_urls.get(name)
    variable = f"BEIYUAN_{name.upper()}_URL"
    if url is None:
        raise InstallationError(f"Set {variable} to the address that the {name} service is reached at.")
    settings = service_settings(name)
    host, port = address_of(url, name)
    if getattr(settings, "sms_sender", None) == "console" and not is_loopback(host):
        raise InstallationError(
            f"The console SMS sender prints sign-in codes; it is not for a public address ({host}). "
            "Set BEIYUAN_SMS_SENDER, or listen on 127.0.0.1."
        )
    with listen(host, port, setting=variable) as listener:
        _announce(name, listener)
        run(service_app(name, settings, Directory(settings.peer_urls)), listener, settings)


def _announce(name: str, listener: socket.socket) -> None:
    host, port = listener.getsockname()[:2]
    sys.stdout.write(f"{name} listens on http://{host}:{port}\n")
    sys.stdout.flush()


def hold_database(out: Console) -> None:
    """Run the embedded PostgreSQL until told to stop; what `serve` needs to know is written to a file to source."""
    settings = AdminSettings()
    create_keys(settings)
    with own_database(settings) as urls:
        variables = {"BEIYUAN_HOME": str(settings.home), "BEIYUAN_ADMIN_DATABASE_URL": urls.admin}
        variables |= {database_variable(name): url for name, url in urls.services.items()}
        for name in SERVICES:
            url = settings.peer_urls.get(name) or f"http://127.0.0.1:{DEFAULT_PORTS[name]}"
            variables[f"BEIYUAN_{name.upper()}_URL"] = url
        path = settings.home / "database.env"
        path.touch(mode=0o600)
        path.write_text("".join(f"export {key}={shlex.quote(value)}\n" for key, value in variables.items()))
        out.print(
            f"PostgreSQL runs. In another terminal:\n    . {shlex.quote(str(path))}", markup=False, highlight=False
        )
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        signal.sigwait({signal.SIGINT, signal.SIGTERM})
        path.unlink(missing_ok=True)
