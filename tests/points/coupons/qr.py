"""Reading a QR code as a camera would, from the dark squares that an SVG draws: version 1, digits only (ISO 18004)."""

import re
from collections.abc import Callable, Iterator

SIZE = 21
_MARGIN = 4
_NUMERIC = 1
_FORMAT = [(8, column) for column in (0, 1, 2, 3, 4, 5, 7, 8)] + [(row, 8) for row in (7, 5, 4, 3, 2, 1, 0)]
_PAIRS = (20, 18, 16, 14, 12, 10, 8, 5, 3, 1)
"""The right columns of those that are read in pairs, upwards and downwards by turns."""

MASKS: list[Callable[[int, int], bool]] = [
    lambda row, column: (row + column) % 2 == 0,
    lambda row, column: row % 2 == 0,
    lambda row, column: column % 3 == 0,
    lambda row, column: (row + column) % 3 == 0,
    lambda row, column: (row // 2 + column // 3) % 2 == 0,
    lambda row, column: row * column % 2 + row * column % 3 == 0,
    lambda row, column: (row * column % 2 + row * column % 3) % 2 == 0,
    lambda row, column: ((row + column) % 2 + row * column % 3) % 2 == 0,
]


def digits_of(path: str) -> str:
    """The digits that a path of strokes stands for."""
    dark = set(_dark(path))
    mask = MASKS[(_number(int(place in dark) for place in _FORMAT) ^ 0x5412) >> 10 & 0b111]
    bits = iter([int((place in dark) != mask(*place)) for place in _data()])

    def take(count: int) -> int:
        return _number(next(bits) for _ in range(count))

    assert take(4) == _NUMERIC
    count = take(10)
    parts = [(min(3, count - start), (4, 7, 10)[min(3, count - start) - 1]) for start in range(0, count, 3)]
    return "".join(f"{take(width):0{length}d}" for length, width in parts)


def _number(bits: Iterator[int]) -> int:
    return int("".join(map(str, bits)), 2)


def _dark(path: str) -> Iterator[tuple[int, int]]:
    """(row, column) of every square under a stroke, from the path's moves and horizontal lines."""
    x = y = 0.0
    for move, first, second in re.findall(r"([Mmh])(-?[\d.]+)(?:[ ,]?(-?[\d.]+))?", path):
        if move == "h":
            yield from ((int(y) - _MARGIN, int(x) + step - _MARGIN) for step in range(int(first)))
            x += float(first)
        else:
            x, y = (float(first), float(second)) if move == "M" else (x + float(first), y + float(second))


def _data() -> Iterator[tuple[int, int]]:
    """The places of data in their order: all but finders, timing and format."""
    for turn, right in enumerate(_PAIRS):
        for row in reversed(range(SIZE)) if turn % 2 == 0 else range(SIZE):
            for column in (right, right - 1):
                in_corner = (row < 9 and (column < 9 or column >= 13)) or (row >= 13 and column < 9)
                if not in_corner and row != 6:
                    yield row, column
