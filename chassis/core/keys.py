"""Key files: who may speak for whom.

Every process has a signing key of its own (`signing.<process>.json`, a private JWK); `trusted.json` holds the public
keys of all of them, so that a call between services needs no look-up to be checked. A service with personal data has
`data.<service>.json`; identity also has `access-tokens.json`, the keys that sign people's tokens (the first one signs).
"""

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
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
    return read_signing_keys(folder / f"signing.{process}.json")[0]


def read_trusted(folder: Path) -> dict[str, OKPKey]:
    """Public keys by the name of the process that signs with them. Raises KeysMissing."""
    return {str(key.kid): key for key in read_signing_keys(folder / "trusted.json")}


def read_data_keys(folder: Path, service: str) -> DataKeys:
    """The keys of a service's personal data. Raises KeysMissing."""
    path = folder / f"data.{service}.json"
    _read(path)
    return DataKeys.read(path)


def create_key_files(folder: Path, *, processes: Sequence[str], data_services: Iterable[str]) -> list[Path]:
    """Make the key files that are missing; none is ever replaced but `trusted.json`, which gains the new keys.

    Returns what was written. Files are readable by their owner alone.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    written = []
    for process in processes:
        path = folder / f"signing.{process}.json"
        if not path.exists():
            written.append(_write(path, json.dumps(generate_signing_key(process).as_dict(private=True))))
    for service in data_services:
        path = folder / f"data.{service}.json"
        if not path.exists():
            written.append(_write(path, DataKeys.generate().dump()))
    path = folder / "access-tokens.json"
    if not path.exists():
        written.append(_write(path, json.dumps({"keys": [generate_signing_key("t1").as_dict(private=True)]})))
    if written or not (folder / "trusted.json").exists():
        public = [read_signing_key(folder, process).as_dict(private=False) for process in processes]
        written.append(_write(folder / "trusted.json", json.dumps({"keys": public})))
    return written


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


def _write(path: Path, content: str) -> Path:
    fresh = path.with_name(path.name + ".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    return path
