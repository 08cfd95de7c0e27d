"""The other roles meet random input: no server error, and no answer that OpenAPI does not name.

In a file of its own, so that a second worker runs it beside the thorough walk.
"""

from pathlib import Path

import pytest

from tests.journeys.fuzzing import fuzz
from tests.journeys.running import Running
from tests.town import ROLES

THOROUGHLY = {"handler", "organiser", "resident"}  # see test_hostile_input.py


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("besieged", ["all-in-one"], indirect=True)
@pytest.mark.parametrize("role", [role for role in ROLES if role not in THOROUGHLY])
def test_no_random_input_breaks_the_server_or_its_contract(besieged: Running, role: str, tmp_path: Path) -> None:
    fuzz(besieged, role, tmp_path, phases="fuzzing")
