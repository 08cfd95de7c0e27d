"""`python -m beiyuan.verify FILE --key PUB`: the same as `beiyuan verify`, without the rest of the product."""

import argparse
import sys
from pathlib import Path

from beiyuan.verify.files import verify
from beiyuan.verify.notes import read_verifiers


def main() -> int:
    """0 where all stands, 1 where something is wrong, 2 where a file or key cannot be read."""
    parser = argparse.ArgumentParser(prog="verify", description="Check an export, a receipt or a consistency proof.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--key", required=True, help="the public key, or a file that holds it (one a line)")
    parser.add_argument("--heads", type=Path, help="a file of published heads to hold it against")
    given = parser.parse_args()
    try:
        report = verify(given.file, read_verifiers(given.key), given.heads)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write("".join(f"{line}\n" for line in report.lines()))
    return 0 if report.good else 1


if __name__ == "__main__":
    sys.exit(main())
