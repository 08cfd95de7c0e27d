"""Whatever is sent to whatever path, by whoever: no server error, and no answer that OpenAPI does not name.

Every boundary of every field. What differs between the roles is what the permission tables say, and those are walked
elsewhere; so these few stand for all.
"""

from pathlib import Path

import pytest

from tests.journeys.fuzzing import fuzz
from tests.journeys.running import Running

# The services behind are the same both ways, so over the network one role suffices.
CASES = [
    *(("all-in-one", role) for role in ("anonymous", "handler", "organiser", "resident")),
    ("separate", "resident"),
]


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("besieged", "role"), CASES, indirect=["besieged"])
def test_no_input_breaks_the_server_or_its_contract(besieged: Running, role: str, tmp_path: Path) -> None:
    fuzz(besieged, role, tmp_path, phases="examples,coverage,fuzzing")
