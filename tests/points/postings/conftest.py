"""Desks of the service that a module's tests share, and of one of a test's own."""

import pytest

from tests.points.conftest import Points
from tests.points.postings.desk import Desk


@pytest.fixture
def desk(points: Points) -> Desk:
    """A desk of the shared service: for tests that look only at households of their own."""
    return Desk(points)


@pytest.fixture
def own_desk(own_points: Points) -> Desk:
    """A desk of a service of the test's own: for tests in which time goes on."""
    return Desk(own_points)
