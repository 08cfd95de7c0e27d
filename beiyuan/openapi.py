"""Writes the contracts that are kept in the repository: what each service answers, and the messages between them."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from beiyuan.installation import KEY_FILES, service_app, service_settings
from beiyuan.names import PROCESSES, SERVICES
from chassis.core import keys
from chassis.core.client import Directory
from chassis.core.messages import Message
from chassis.core.runtime import Runtime
from gateway.openapi import merged_document

FOLDER = Path(__file__).resolve().parent.parent / "openapi"


def write(folder: Path = FOLDER) -> list[Path]:
    """Write `<service>.json`, `gateway.json` and `messages/<type>.json`; returns the files that were not so before."""
    changed = []
    wanted = dict(_documents())
    for path in [*folder.glob("*.json"), *folder.glob("messages/*.json")]:
        if str(path.relative_to(folder)) not in wanted:
            path.unlink()
            changed.append(path)
    for name, document in wanted.items():
        path = folder / name
        content = json.dumps(document, ensure_ascii=False, indent=2, sort_keys=True) + "\n"
        if not path.exists() or path.read_text(encoding="utf-8") != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
            changed.append(path)
    return changed


def _documents() -> Iterator[tuple[str, dict[str, Any]]]:
    with tempfile.TemporaryDirectory() as scratch:
        apps = {name: _described(name, Path(scratch)) for name in SERVICES}
        for name, app in apps.items():
            yield f"{name}.json", app.openapi()
        yield "gateway.json", merged_document({name: app.openapi() for name, app in apps.items()})
        for app in apps.values():
            runtime: Runtime = app.state.runtime
            for message in runtime.parts.publishes:
                yield f"messages/{message.type}.json", _message_schema(message)


def _message_schema(message: type[Message]) -> dict[str, Any]:
    schema = message.model_json_schema(mode="serialization")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": message.type,
        "x-subscribers": list(message.to),
    } | {key: value for key, value in schema.items() if key != "title"}


def _described(service: str, scratch: Path) -> FastAPI:
    """The service's application as it is only needed to describe itself: it never meets a database."""
    keys.create_key_files(scratch / "keys", processes=PROCESSES, data_services=SERVICES, further=KEY_FILES)
    settings = service_settings(
        service, database_url="postgresql://nobody@localhost/none", home=scratch, keys_dir=scratch / "keys"
    )
    return service_app(service, settings, Directory())
