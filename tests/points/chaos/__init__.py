import pytest

# So that what is wrong is shown.
pytest.register_assert_rewrite("tests.points.chaos.verdict", "tests.points.chaos.floors")
