"""How commands talk to whoever runs them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from beiyuan.installation import InstallationError
from beiyuan.postgres import PostgresError
from chassis.core.keys import KeysMissing

out = Console()
err = Console(stderr=True)


@contextmanager
def told_plainly() -> Iterator[None]:
    """Failures that a person can put right are told in words, without a stack trace."""
    try:
        yield
    except (InstallationError, PostgresError, KeysMissing) as error:
        err.print(str(error), style="red", markup=False)
        raise typer.Exit(1) from None
    except ValidationError as error:
        for item in error.errors(include_input=False):
            name = str(item["loc"][0]).upper() if item["loc"] else error.title
            name = name if name.startswith("BEIYUAN_") else f"BEIYUAN_{name}"
            err.print(f"{name}: {item['msg']}", style="red", markup=False)
        raise typer.Exit(1) from None


@contextmanager
def progress_bar() -> Iterator[Callable[[int, int], None]]:
    """Shows how far something is, told as (done, of how many). On the error stream: the output stays what it is."""
    with Progress(BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=err, transient=True) as progress:
        task = progress.add_task("", total=None)

        def tell(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        yield tell
