"""Receipts, consistency proofs and published heads."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from beiyuan.verify.leaves import canonical, check_fields, hashes_in, strict_json
from beiyuan.verify.notes import Head, NotSigned, Verifier, open_head
from beiyuan.verify.report import Report
from beiyuan.verify.tree import check_consistency, hash_of_leaf, root_by_inclusion

RECEIPT = "beiyuan-receipt/1"
CONSISTENCY = "beiyuan-consistency/1"


def check_receipt(receipt: dict[str, Any], verifiers: Sequence[Verifier], heads: Iterable[Head]) -> Report:
    """That the transfer of a receipt is in the tree of a signed head; with `heads`, that the head was published."""
    report = Report()
    try:
        leaf = check_fields(receipt["leaf"])
        head = open_head(receipt["checkpoint"], verifiers)
        if not leaf["ledger"] == head.ledger == receipt["ledger"]:
            raise ValueError("the transfer and the head are of different ledgers")
        if receipt["index"] != leaf["sequence"] - 1:
            raise ValueError("the transfer's number is not its place")
        root = root_by_inclusion(
            receipt["index"], head.size, hash_of_leaf(canonical(leaf)), hashes_in(receipt["proof"])
        )
        if root != head.root:
            raise ValueError("the transfer is not in the tree of the signed head")
    except (NotSigned, ValueError, KeyError, TypeError) as error:
        report.problem(_why(error))
        return report
    report.passed(
        f"transfer {leaf['sequence']} of the {head.ledger} ledger is under the signed head over {head.size}: "
        f"{leaf['amount']} points, {leaf['code']}, posted {leaf['posted_at']}"
    )
    _compare([head], heads, report)
    return report


def check_consistency_of(shown: dict[str, Any], verifiers: Sequence[Verifier], heads: Iterable[Head]) -> Report:
    """That the second of two signed heads is over the transfers of the first and whatever came after them."""
    report = Report()
    try:
        first, second = open_head(shown["first"], verifiers), open_head(shown["second"], verifiers)
        if not first.origin == second.origin or first.ledger != shown["ledger"]:
            raise ValueError("the heads are of different ledgers")
        check_consistency(first.size, first.root, second.size, second.root, hashes_in(shown["proof"]))
    except (NotSigned, ValueError, KeyError, TypeError) as error:
        report.problem(_why(error))
        return report
    report.passed(f"the first {first.size} transfers of the {first.ledger} ledger are unchanged among {second.size}")
    _compare([first, second], heads, report)
    return report


def read_heads(path: Path, verifiers: Sequence[Verifier], report: Report) -> list[Head]:
    """The heads of a file as the service publishes them, a JSON object a line with the note as `checkpoint`.

    Those that are not signed, or contradict each other, are problems; a line that was cut off is none.
    """
    heads: dict[tuple[str, int], Head] = {}
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                note = strict_json(line)["checkpoint"]
            except (ValueError, KeyError, TypeError):
                report.count("lines of published heads that were cut off")
                continue
            try:
                head = open_head(note, verifiers)
            except NotSigned as error:
                report.problem(f"line {number} of the published heads: {error}")
                continue
            if heads.setdefault((head.origin, head.size), head).root != head.root:
                report.problem(
                    f"two heads over {head.size} transfers of {head.origin} were signed, with different roots"
                )
    return list(heads.values())


def _compare(own: Iterable[Head], heads: Iterable[Head], report: Report) -> None:
    published = {(head.origin, head.size): head for head in heads}
    for head in own:
        other = published.get((head.origin, head.size))
        if other and other.root != head.root:
            report.problem(f"another head over {head.size} transfers was published")
        elif other:
            report.count("published heads that fit")


def _why(error: Exception) -> str:
    if isinstance(error, KeyError | TypeError):
        return "the file is not complete"
    return str(error)
