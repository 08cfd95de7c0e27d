"""`beiyuan points`: what an operator or an auditor asks of the ledger.

What only some commands need is imported in them.
"""

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from beiyuan.console import err, out, progress_bar, told_plainly
from beiyuan.installation import AdminSettings, any_database, service_settings
from services.points.terms import LedgerName

commands = typer.Typer(
    help="The points ledger: is it right, can it be shown, can it be made again.", no_args_is_help=True
)


@commands.command("check")
def points_check() -> None:
    """Look through the whole ledger while the system runs, and say what is off; exit 1 where anything is.

    Balances, numbers, lots, holds, debts, caps, coupons, what merchants are owed, the boards. It locks and changes
    nothing.
    """
    from services.points.audit.queries import CHECKS, MOST_FINDINGS, audit, snapshot

    off: dict[str, int] = {}
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with told_plainly(), any_database(AdminSettings()) as urls, snapshot(urls.services["points"]) as connection:
        with Progress(*columns, console=err) as progress:
            tasks = {check.name: progress.add_task(check.name, total=None, start=False) for check in CHECKS}
            for part in audit(connection):
                task = tasks[part.check.name]
                progress.start_task(task)
                progress.update(task, total=max(part.total, 1), completed=part.done if part.total else 1)
                for finding in part.findings:
                    off[finding.check] = off.get(finding.check, 0) + 1
                    out.print(f"{finding.subject}: {finding.detail}", style="red", markup=False, soft_wrap=True)
        for name, count in off.items():
            more = " or more" if count >= MOST_FINDINGS else ""
            out.print(f"✗ not so: {name} ({count}{more})", style="red", markup=False)
    if off:
        raise typer.Exit(1)
    out.print(f"✓ {len(CHECKS)} checks, nothing is off.", style="green", markup=False)


@commands.command("export")
def points_export(
    ledger: Annotated[LedgerName, typer.Option(help="Which ledger.")],
    file: Annotated[Path, typer.Option("--out", help="The file to write (JSON lines).")],
) -> None:
    """Write a whole ledger with its hashes and signed head, for `beiyuan verify`; the services may run meanwhile."""
    import asyncio

    from beiyuan.ledger_export import NothingSealed, export

    with told_plainly(), any_database(AdminSettings()) as urls, progress_bar() as progress:
        settings = service_settings("points", database_url=urls.services["points"])
        try:
            written = asyncio.run(export(settings, ledger, file, progress))
        except NothingSealed as error:
            err.print(str(error), style="red", markup=False)
            raise typer.Exit(1) from None
    if written.reason:
        err.print(f"Written under the last head that was signed: {written.reason}", style="yellow", markup=False)
    out.print(f"{written.size} transfers of the {ledger} ledger written to {file}.", markup=False, highlight=False)


@commands.command("replay")
def points_replay() -> None:
    """Make every award anew from the stored facts, in the order of their acceptance; exit 1 where one differs.

    The system may run meanwhile: what is accepted after it began is left out. It locks and changes nothing.
    """
    from services.points.awards.replay import replay

    differences = facts = 0
    with told_plainly(), any_database(AdminSettings()) as urls, progress_bar() as progress:
        for part in replay(urls.services["points"]):
            facts = part.facts
            progress(part.position, part.last)
            for found in part.differences:
                differences += 1
                if differences <= 100:
                    out.print(f"award {found.award}: {found.detail}", style="red", markup=False, soft_wrap=True)
    if differences:
        out.print(f"✗ {differences} differences in {facts} facts.", style="red", markup=False)
        raise typer.Exit(1)
    out.print(f"✓ {facts} facts replayed: every award is what they make of it.", style="green", markup=False)
