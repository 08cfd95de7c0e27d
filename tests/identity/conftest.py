"""Fixtures of the identity service's tests."""

import pytest

from tests.identity.service import Identity, start
from tests.town import Town


@pytest.fixture
async def identity(empty_town: Town) -> Identity:
    """The identity service alone, with its default settings."""
    return await start(empty_town)
