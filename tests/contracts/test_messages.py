"""What is published is what is subscribed to: the schemas in openapi/messages, against both sides."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from polyfactory.factories.pydantic_factory import ModelFactory

from beiyuan.names import SERVICES
from chassis.core.messages import Message
from tests.town import Town

SCHEMAS = Path(__file__).parents[2] / "openapi" / "messages"
SAMPLES = 25


def published(town: Town) -> Iterator[type[Message]]:
    """Every message class of every service."""
    for service in SERVICES:
        yield from town.runtime(service).parts.publishes


def samples(message: type[Message]) -> list[dict[str, Any]]:
    """Random data of this message, as it goes over the wire."""
    factory = ModelFactory.create_factory(message)
    factory.seed_random(20261123)
    return [instance.model_dump(mode="json") for instance in factory.batch(SAMPLES)]


async def test_every_published_message_has_its_schema_in_the_repository(town: Town) -> None:
    assert {f"{message.type}.json" for message in published(town)} == {path.name for path in SCHEMAS.glob("*.json")}


async def test_what_is_published_fits_its_schema(town: Town) -> None:
    for message in published(town):
        schema = json.loads((SCHEMAS / f"{message.type}.json").read_text(encoding="utf-8"))
        validator = jsonschema.Draft202012Validator(schema)
        for data in samples(message):
            validator.validate(data)
        with pytest.raises(jsonschema.ValidationError):
            validator.validate({})


async def test_every_subscriber_takes_what_is_published_to_it(town: Town) -> None:
    for message in published(town):
        for subscriber in message.to:
            subscriptions = town.runtime(subscriber).parts.subscriptions or {}
            assert message.type in subscriptions, f"{subscriber} does not take {message.type}"
            for data in samples(message):
                subscriptions[message.type].view.model_validate(data)


async def test_nobody_subscribes_to_what_nobody_publishes_to_them(town: Town) -> None:
    taken = {(name, service) for service in SERVICES for name in town.runtime(service).parts.subscriptions or {}}
    assert taken == {(message.type, subscriber) for message in published(town) for subscriber in message.to}
