"""The journeys run against the real thing, both ways: everything in one process, and a process for each service."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.journeys.running import ROOT, Running, all_in_one, separate_processes

WAYS: dict[str, Callable[[Path, Path], AbstractContextManager[Running]]] = {
    "all-in-one": all_in_one,
    "separate": separate_processes,
}


@pytest.fixture(scope="session", params=WAYS)
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, fast_folder: Path
) -> Iterator[Running]:
    """An installation with the demo town; or, with TEST_JOURNEY_URL, the one that runs there already.

    The home folder of that one, with its merchants' keys, is TEST_JOURNEY_HOME, or that of `make run`.
    """
    yield from _installed(request.param, fast_folder / f"家 {request.param}", tmp_path_factory)


@pytest.fixture(scope="module")
def besieged(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, fast_folder: Path
) -> Iterator[Running]:
    """The same of a module's own: an administrator who does anything at all closes shops that the journeys need."""
    folder = f"{request.module.__name__.rpartition('.')[2]} {request.param}"
    yield from _installed(request.param, fast_folder / folder, tmp_path_factory)


def _installed(way: str, home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    if url := os.environ.get("TEST_JOURNEY_URL"):
        if way != "all-in-one":
            pytest.skip("TEST_JOURNEY_URL names one server, and that is tried")
        home = Path(os.environ.get("TEST_JOURNEY_HOME", ROOT / ".beiyuan"))
        yield Running(url, home, [], one_process=True)
        return
    with WAYS[way](home, tmp_path_factory.mktemp(way)) as installation:
        yield installation
