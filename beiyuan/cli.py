"""The command line: `beiyuan`.

What only some commands need is imported in them, so that the small ones answer at once.
"""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from beiyuan import deliveries, points
from beiyuan.console import err, out, progress_bar, told_plainly
from beiyuan.installation import AdminSettings, InstallationError, any_database, create_keys
from beiyuan.names import PROCESSES, SERVICES

app = typer.Typer(
    help="和谐北苑 (Harmony Beiyuan): an open backend for neighbourhood self-government.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)
demo_commands = typer.Typer(help="The demo town: people, places, orders and more, all invented.", no_args_is_help=True)
message_commands = typer.Typer(help="Messages between services that were not delivered.", no_args_is_help=True)
job_commands = typer.Typer(help="Background jobs that were given up.", no_args_is_help=True)
key_commands = typer.Typer(help="Key files.", no_args_is_help=True)
app.add_typer(demo_commands, name="demo")
app.add_typer(message_commands, name="messages")
app.add_typer(job_commands, name="jobs")
app.add_typer(key_commands, name="keys")
app.add_typer(points.commands, name="points")

ServiceName = Annotated[str, typer.Option(help=f"The sending service: {', '.join(SERVICES)}.")]


@app.command()
def up() -> None:
    """Run everything in this process: embedded PostgreSQL, migrations, demo town, all services and the gateway."""
    from beiyuan.up import up as run_up

    with told_plainly():
        run_up(out)


@app.command()
def serve(
    processes: Annotated[list[str], typer.Argument(help=f"Which: {', '.join(PROCESSES)}.")],
) -> None:
    """Run services, each as a process of its own, on the addresses that their BEIYUAN_*_URL settings say."""
    from beiyuan.process import run_each
    from beiyuan.serve import serve_one

    with told_plainly():
        if unknown := set(processes) - set(PROCESSES):
            raise InstallationError(
                f"No such process: {', '.join(sorted(unknown))}. There are: {', '.join(PROCESSES)}."
            )
        if len(processes) > 1:
            raise typer.Exit(run_each(processes))
        serve_one(processes[0])


@app.command()
def migrate() -> None:
    """Create the services' schemas and roles and bring their tables up to date."""
    from beiyuan.migrate import migrate as run_migrations

    with told_plainly(), any_database(AdminSettings()) as urls:
        run_migrations(urls.admin, urls.services)
        out.print("The database is up to date.")


@app.command()
def database() -> None:
    """Run the embedded PostgreSQL alone, for services in processes of their own, until Ctrl-C."""
    from beiyuan.serve import hold_database

    with told_plainly():
        hold_database(out)


@demo_commands.command("load")
def demo_load() -> None:
    """Put the demo town into the database. Doing it again adds nothing."""
    from beiyuan.demo.load import load

    settings = AdminSettings()
    with told_plainly(), any_database(settings) as urls:
        create_keys(settings)
        loaded = load(settings, urls)
        out.print("The demo town has been loaded." if loaded else "The demo town was there already.")


@demo_commands.command("show")
def demo_show(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
) -> None:
    """Who lives and works in the demo town, and what is in it. The merchants' private keys are in the JSON alone."""
    from beiyuan.demo import town
    from beiyuan.demo.merchant_keys import merchant_keys
    from beiyuan.demo.show import cell, describe

    if as_json:
        with told_plainly():
            keys = merchant_keys(AdminSettings().home, [merchant.mchid for merchant in town.MERCHANTS.values()])
        sys.stdout.write(json.dumps(describe(keys), ensure_ascii=False, indent=2) + "\n")
        return
    for title, rows in describe().items():
        table = Table(title=title)
        for column in rows[0]:
            table.add_column(column)
        for row in rows:
            table.add_row(*(cell(value) for value in row.values()))
        out.print(table)


@app.command()
def openapi(
    check: Annotated[bool, typer.Option(help="Fail if a file was not up to date.")] = False,
) -> None:
    """Write the OpenAPI documents and message schemas to openapi/."""
    from beiyuan.openapi import write

    changed = write()
    for path in changed:
        out.print(f"changed: {path.name}", markup=False)
    if check and changed:
        raise typer.Exit(1)


@message_commands.command("list")
def messages_list(service: Annotated[str | None, typer.Option(help="Only of this sending service.")] = None) -> None:
    """Messages that are parked (refused by a subscriber) or still waiting."""
    with told_plainly(), any_database(AdminSettings()) as urls:
        table = Table("service", "state", "id", "type", "aggregate", "to", "tries", "since", "reason")
        for name in [service] if service else SERVICES:
            for item in deliveries.undelivered(urls.admin, _known(name)):
                table.add_row(
                    name,
                    item.state,
                    item.id,
                    item.type,
                    item.aggregate,
                    item.subscriber,
                    str(item.attempts),
                    f"{item.occurred_at:%Y-%m-%d %H:%M}",
                    item.error or "",
                )
    out.print(table if table.row_count else "Every message has been delivered.")


@message_commands.command("retry")
def messages_retry(
    service: ServiceName, ids: Annotated[list[str] | None, typer.Argument(help="Message ids; all, if none.")] = None
) -> None:
    """Send parked messages again: do this once the reason of their refusal is gone."""
    with told_plainly(), any_database(AdminSettings()) as urls:
        count = deliveries.retry(urls.admin, _known(service), ids or [])
        out.print(f"{count} message(s) will be sent again.")


@message_commands.command("skip")
def messages_skip(service: ServiceName, ids: Annotated[list[str], typer.Argument(help="Message ids.")]) -> None:
    """Give parked messages up for good, so that what follows them is delivered."""
    with told_plainly(), any_database(AdminSettings()) as urls:
        count = deliveries.skip(urls.admin, _known(service), ids)
        out.print(f"{count} message(s) given up.")


@job_commands.command("list")
def jobs_list(service: Annotated[str | None, typer.Option(help="Only of this service.")] = None) -> None:
    """Jobs that were given up after their last try."""
    from beiyuan.failed_jobs import failed_jobs

    with told_plainly(), any_database(AdminSettings()) as urls:
        table = Table("service", "id", "job", "tries", "since")
        for name in [service] if service else SERVICES:
            for job in failed_jobs(urls.admin, _known(name)):
                since = f"{job.failed_at:%Y-%m-%d %H:%M}" if job.failed_at else ""
                what = f"{job.name} (periodic)" if job.periodic else job.name
                table.add_row(name, str(job.id), what, str(job.attempts), since)
    out.print(table if table.row_count else "No job was given up.")


@job_commands.command("retry")
def jobs_retry(
    service: Annotated[str, typer.Option(help=f"Whose jobs: {', '.join(SERVICES)}.")],
    ids: Annotated[list[int] | None, typer.Argument(help="Job ids; all, if none.")] = None,
) -> None:
    """Try jobs once more that were given up; periodic ones run again by themselves."""
    from beiyuan.failed_jobs import retry

    with told_plainly(), any_database(AdminSettings()) as urls:
        count = retry(urls.admin, _known(service), ids or [])
        out.print(f"{count} job(s) will be tried once more.")


@key_commands.command("init")
def keys_init() -> None:
    """Make the key files that are missing in BEIYUAN_KEYS_DIR; those that exist stay as they are."""
    settings = AdminSettings()
    written = create_keys(settings)
    out.print(f"{len(written)} file(s) written to {settings.keys_path}.", markup=False)


@key_commands.command("platform")
def keys_platform(
    rotate: Annotated[bool, typer.Option(help="Sign with the next key from now on; a fresh one follows it.")] = False,
    at_once: Annotated[bool, typer.Option(help="Though merchants have had no time to learn it.")] = False,
) -> None:
    """Show, and change, the keys that replies to merchants are signed with. Running services notice by themselves."""
    from services.points.merchants import platform

    folder = AdminSettings().keys_path
    with told_plainly():
        try:
            if rotate:
                platform.rotate_platform_keys(folder, at_once=at_once)
        except platform.ShownTooBriefly as error:
            raise InstallationError(f"{error} --at-once does it nevertheless.") from None
        for key in platform.read_platform_keys(folder):
            out.print(f"{key.status}: {key.serial_no}", markup=False, highlight=False)


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(help="An export, a receipt or a consistency proof.")],
    key: Annotated[str, typer.Option(help="The public key of the seals, or a file that holds it (one a line).")],
    heads: Annotated[Path | None, typer.Option(help="A file of published heads to hold it against.")] = None,
) -> None:
    """Check offline what the ledgers handed out, trusting the public key alone. Exit code 1: something is wrong."""
    from beiyuan.verify.files import verify as check
    from beiyuan.verify.notes import read_verifiers

    try:
        with progress_bar() as progress:
            report = check(file, read_verifiers(key), heads, progress)
    except (OSError, ValueError) as error:
        err.print(str(error), style="red", markup=False)
        raise typer.Exit(2) from None
    for line in report.lines():
        out.print(line, markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(0 if report.good else 1)


@app.command()
def doctor() -> None:
    """Say what is missing or wrong on this machine and in this installation, and what to do about it."""
    from beiyuan.doctor import examine

    bad = False
    for finding in examine(AdminSettings()):
        mark, style = {"ok": ("✓", "green"), "note": ("!", "yellow"), "bad": ("✗", "red")}[finding.level]
        out.print(f"{mark} {finding.text}", style=style, markup=False, highlight=False)
        if finding.remedy:
            out.print(f"    → {finding.remedy}", markup=False, highlight=False)
        bad = bad or finding.level == "bad"
    raise typer.Exit(1 if bad else 0)


def _known(service: str) -> str:
    if service not in SERVICES:
        raise InstallationError(f"There is no service {service!r}. There are: {', '.join(SERVICES)}.")
    return service
