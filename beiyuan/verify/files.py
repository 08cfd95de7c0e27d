"""Which kind of file it is, and what is to be checked of it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from beiyuan.verify.documents import CONSISTENCY, RECEIPT, check_consistency_of, check_receipt, read_heads
from beiyuan.verify.export import Progress, check_export
from beiyuan.verify.leaves import strict_json
from beiyuan.verify.notes import Verifier
from beiyuan.verify.report import Report

_LARGEST_DOCUMENT = 1 << 20


def verify(
    path: Path, verifiers: Sequence[Verifier], heads_path: Path | None = None, progress: Progress | None = None
) -> Report:
    """Check an export, a receipt or a consistency proof; `heads_path` is a file of published heads to hold it against.

    Raises OSError where a file cannot be read, ValueError where it holds a service's refusal in place of a proof.
    """
    found = Report()
    heads = read_heads(heads_path, verifiers, found) if heads_path else []
    with path.open("rb") as file:
        start = file.read(_LARGEST_DOCUMENT)
    try:
        document: Any = strict_json(start) if len(start) < _LARGEST_DOCUMENT else None
    except ValueError:
        document = None  # of several lines: an export
    match document:
        case {"format": str(kind)} if kind == RECEIPT:
            report = check_receipt(document, verifiers, heads)
        case {"format": str(kind)} if kind == CONSISTENCY:
            report = check_consistency_of(document, verifiers, heads)
        case {"type": str(), "code": str(code), "title": str(title)}:
            raise ValueError(f"{path} holds no proof, but the answer {code}: {title}")
        case _:
            report = check_export(path, verifiers, heads, progress)
    for problem in found.problems:
        report.problem(problem)
    return report
