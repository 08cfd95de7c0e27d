"""Key files: who may speak for whom.

Every process has a signing key of its own (`signing.<process>.json`, private JWKs); `trusted.json` holds the public
keys of them all, so that a call between services needs no look-up to be checked. A service with personal data has
`data.<service>.json`; identity also has `access-tokens.json`, the keys that sign people's tokens (the first one signs).
"""

import fcntl
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from joserfc.jwk import OKPKey

from chassis.core.crypto import DataKeys


class KeysMissing(Exception):
    """A key file is not there, or cannot be read; says which and what to do."""


def generate_signing_key(kid: str) -> OKPKey:
    """A fresh Ed25519 key."""
    return OKPKey.generate_key("Ed25519", parameters={"kid": kid, "use": "sig", "alg": "Ed25519"}, private=True)


def read_signing_keys(path: Path) -> list[OKPKey]:
    """The keys of a file that holds one JWK or a list of them under `keys`. Raises KeysMissing."""
    data = _read(path)
    return [OKPKey.import_key(item) for item in data.get("keys", [data])]


def read_signing_key(folder: Path, process: str) -> OKPKey:
    """The key with which `process` signs its calls. Raises KeysMissing."""
    return read_signing_keys(_signing_path(folder, process))[0]


def read_trusted(folder: Path) -> dict[str, OKPKey]:
    """Public keys by the name of the process that signs with them. Raises KeysMissing."""
    return {str(key.kid): key for key in read_signing_keys(folder / "trusted.json")}


def read_data_keys(folder: Path, service: str) -> DataKeys:
    """The keys of a service's personal data. Raises KeysMissing."""
    path = folder / f"data.{service}.json"
    _read(path)
    return DataKeys.read(path)


def create_key_files(
    folder: Path,
    *,
    processes: Sequence[str],
    data_services: Iterable[str],
    further: Mapping[str, Callable[[], str]] = MappingProxyType({}),
) -> list[Path]:
    """Make the key files that are missing; none is ever replaced but `trusted.json`, which gains the new keys.

    `further` are files of a service's own by name, each with what makes its content: called only where the file is
    missing. Returns what was written. Files are readable by their owner alone. May be called by several processes at
    once.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with locked(folder):
        missing = [process for process in processes if not _signing_path(folder, process).exists()]
        contents = {_signing_path(folder, name): _dump(generate_signing_key(name), private=True) for name in missing}
        contents |= {folder / f"data.{service}.json": DataKeys.generate().dump() for service in data_services}
        contents[folder / "access-tokens.json"] = _dump(generate_signing_key("t1"), private=True)
        written = [write_key_file(path, content) for path, content in contents.items() if not path.exists()]
        written += [
            write_key_file(folder / name, make()) for name, make in further.items() if not (folder / name).exists()
        ]
        trusted = read_trusted(folder) if (folder / "trusted.json").exists() else {}
        gained = {name: read_signing_key(folder, name) for name in processes if name in missing or name not in trusted}
        if gained:
            written.append(write_key_file(folder / "trusted.json", _dump(*(trusted | gained).values(), private=False)))
    return written


def read_key_file(path: Path) -> dict[str, Any]:
    """The JSON object of one of the `further` files. Raises KeysMissing."""
    return _read(path)


def _signing_path(folder: Path, process: str) -> Path:
    return folder / f"signing.{process}.json"


def _dump(*keys: OKPKey, private: bool) -> str:
    return json.dumps({"keys": [key.as_dict(private=private) for key in keys]})


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """No other process makes files in this folder within the block, if it asks too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _read(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise KeysMissing(
            f"The key file {path} cannot be read ({error}). Make the key files with `beiyuan keys init`, "
            "or point BEIYUAN_KEYS_DIR at the folder that holds them."
        ) from error
    if not isinstance(data, dict):
        raise KeysMissing(f"The key file {path} holds no JSON object.")
    return data


def write_key_file(path: Path, content: str) -> Path:
    """Write a file that its owner alone can read, wholly or not at all; its path."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)  # of a start that was cut off, with whatever rights it had
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    return path
