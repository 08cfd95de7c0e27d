"""Makes one OpenAPI document out of several.

Where two documents give one name to different things, each gets its own document's name in front; things that are the
same everywhere (`Problem`) stand once.
"""

import copy
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Any

Json = dict[str, Any]
Component = tuple[str, str]
"""A section of `components` and a name in it."""

_REF = "#/components/"
_METHODS = frozenset({"get", "put", "post", "delete", "options", "head", "patch", "trace"})


def merge(documents: Mapping[str, Json]) -> Json:
    """`paths`, `components` and `tags` of all the documents, which are given by name and left as they are."""
    merged: Json = {"paths": {}, "components": {}, "tags": []}
    clashing = _clashes(documents)
    ids = Counter(operation.get("operationId") for item in documents.values() for operation in operations(item))
    for name, document in documents.items():
        part = _renamed(copy.deepcopy(document), clashing, name)
        for operation in operations(part):
            if ids[operation.get("operationId")] > 1 and "operationId" in operation:
                operation["operationId"] = f"{name}_{operation['operationId']}"
        merged["paths"] |= part.get("paths", {})
        merged["tags"] += [tag for tag in part.get("tags", []) if tag not in merged["tags"]]
        for section, items in part.get("components", {}).items():
            merged["components"].setdefault(section, {}).update(items)
    _drop_unused(merged)
    return merged


def operations(document: Json) -> Iterator[Json]:
    """Every operation of a document."""
    for item in document.get("paths", {}).values():
        for method, operation in item.items():
            if method in _METHODS:
                yield operation


def _components(document: Json) -> dict[Component, Any]:
    return {
        (section, name): definition
        for section, items in document.get("components", {}).items()
        for name, definition in items.items()
    }


def _clashes(documents: Mapping[str, Json]) -> set[Component]:
    """The names that mean different things in different documents: by themselves, or by what they refer to."""
    defined: dict[Component, list[Any]] = {}
    for document in documents.values():
        for component, definition in _components(document).items():
            defined.setdefault(component, []).append(definition)
    shared = {component: found for component, found in defined.items() if len(found) > 1}
    clashing = {component for component, found in shared.items() if any(item != found[0] for item in found)}
    spread = True
    while spread:
        touched = {component for component, found in shared.items() if clashing.intersection(_references(found))}
        spread = not touched <= clashing
        clashing |= touched
    return clashing


def _references(value: Any) -> Iterator[Component]:
    """Every component that something refers to, security schemes included."""
    if isinstance(value, dict):
        for requirement in _requirements(value):
            yield from (("securitySchemes", name) for name in requirement)
        for item in value.values():
            yield from _references(item)
    elif isinstance(value, list):
        for item in value:
            yield from _references(item)
    elif isinstance(value, str) and value.startswith(_REF):
        section, _, name = value.removeprefix(_REF).partition("/")
        yield section, name


def _requirements(value: Json) -> list[dict[str, list[str]]]:
    found = value.get("security")
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _renamed(document: Json, clashing: Collection[Component], prefix: str) -> Json:
    def name_of(section: str, name: str) -> str:
        return f"{prefix}_{name}" if (section, name) in clashing else name

    def walk(value: Any) -> Any:
        if isinstance(value, list):
            return [walk(item) for item in value]
        if isinstance(value, str) and value.startswith(_REF):
            section, _, name = value.removeprefix(_REF).partition("/")
            return f"{_REF}{section}/{name_of(section, name)}"
        if not isinstance(value, dict):
            return value
        walked = {key: walk(item) for key, item in value.items()}
        if requirements := _requirements(walked):
            walked["security"] = [
                {name_of("securitySchemes", name): scopes for name, scopes in item.items()} for item in requirements
            ]
        return walked

    document = walk(document)
    document["components"] = {
        section: {name_of(section, name): definition for name, definition in items.items()}
        for section, items in document.get("components", {}).items()
    }
    return document


def _drop_unused(document: Json) -> None:
    """Leave out the components that no path needs."""
    components = _components(document)
    used: set[Component] = set()
    waiting = set(_references(document["paths"]))
    while waiting:
        used |= waiting
        waiting = {found for known in waiting for found in _references(components.get(known))} - used
    document["components"] = {
        section: {name: definition for name, definition in items.items() if (section, name) in used}
        for section, items in document["components"].items()
    }
