"""An export of a ledger: its first line is the signed head, each further line a transfer with its stored hashes.

The lines are canonical JSON, so there is no byte in them that could be another one unseen.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from beiyuan.verify.balances import Balances
from beiyuan.verify.leaves import canonical, check_fields, hashes_in, strict_json
from beiyuan.verify.notes import Head, NotSigned, Verifier, open_head
from beiyuan.verify.report import Report
from beiyuan.verify.tree import Tree, hash_of_leaf

FORMAT = "beiyuan-export/1"
_LONGEST_LINE = 1 << 20
_STEP = 1000

Progress = Callable[[int, int], None]
"""Told how many of how many transfers have been checked."""


def check_export(
    path: Path, verifiers: Sequence[Verifier], heads: Sequence[Head], progress: Progress | None = None
) -> Report:
    """Recompute an export: every leaf, the tree, the head, every account. `heads` are further signed heads of any
    ledger, as they were published: whatever was changed since one of them shows.

    Memory grows with the number of accounts, not with that of transfers.
    """
    report = Report()
    with path.open("rb") as file:
        header, head = _header(file, verifiers, report)
        if header is None:
            return report
        size = header["size"]
        reading = _Reading(
            report, header["ledger"], {each.size: each for each in heads if each.ledger == header["ledger"]}
        )
        for number, line in enumerate(_lines(file), 1):
            if number > size:
                report.problem(f"more than the {size} transfers that the head is over are in the file")
                break
            reading.take(line, number)
            if progress and not number % _STEP:
                progress(number, size)
        reading.finish(size, head)
    if progress:
        progress(size, size)
    return report


class _Reading:
    """What is known after the lines so far."""

    def __init__(self, report: Report, ledger: str, heads: dict[int, Head]) -> None:
        self._report = report
        self._ledger = ledger
        self._tree = Tree()
        self._balances = Balances(ledger)
        self._heads = heads
        self._good_until = 0  # the size of the last published head that fits
        self._count = 0
        self._last = 0  # the number of the last transfer
        self._broken = False  # a transfer is not what was sealed, so balances after it say nothing
        self._lost = False  # a line is missing, or not in its place, so the tree cannot be computed beyond it
        self._match_head()

    def take(self, line: bytes, number: int) -> None:
        """The next line."""
        self._count = number
        try:
            leaf, own, hashes = _transfer(line)
        except ValueError as error:
            self._report.problem(f"line {number + 1} of the file cannot be read ({error})")
            self._last, self._lost = self._last + 1, True
            return
        sequence = leaf["sequence"] if leaf else self._last + 1
        if sequence != self._last + 1:
            self._report.problem(f"transfer {sequence} stands where {self._last + 1} should (line {number + 1})")
            self._lost = True
        self._last = sequence
        self._broken = self._broken or leaf is None or self._lost
        if leaf is None:
            self._report.problem(f"transfer {sequence} is missing from the ledger")
        if self._lost:
            if leaf and hashes[:1] != [own]:
                self._report.problem(_altered(leaf))
            return
        self._grow(leaf, own, hashes)
        if leaf and not self._broken:
            for problem in self._balances.apply(leaf):
                self._report.problem(f"transfer {sequence}: {problem}")
        self._match_head()

    def finish(self, size: int, head: Head | None) -> None:
        """The end of the file."""
        if self._count < size:
            self._report.problem(f"the file ends after {self._count} transfers; the head is over {size}")
        elif self._lost:
            self._report.passed("the tree could not be computed beyond what is wrong above")
        elif head and self._tree.root() != head.root:
            self._report.problem(
                f"the transfers do not hash to the signed head over {size}: "
                f"something among {self._good_until + 1} to {size} was changed along with its hashes"
            )
        elif head:
            self._report.passed(f"{size} transfers of the {self._ledger} ledger hash to the signed head")
        if beyond := sum(known > size for known in self._heads):
            self._report.passed(f"{beyond} published heads are over more transfers than these and were not looked at")
        if self._broken or self._lost:
            self._report.passed("balances were not followed beyond what is wrong above")
            return
        for problem in self._balances.finish():
            self._report.problem(problem)
        self._report.passed(f"the entries of {len(self._balances)} accounts were followed from the first to the last")

    def _grow(self, leaf: dict[str, Any] | None, own: bytes, hashes: Sequence[bytes]) -> None:
        if leaf is None:
            own = b"".join(hashes[:1])  # that it is missing was told
        for first, last in self._tree.append(own, hashes):
            self._broken = True
            if leaf and first == last:
                self._report.problem(_altered(leaf))
            else:
                self._report.problem(f"the stored hashes over transfers {first} to {last} are not theirs")

    def _match_head(self) -> None:
        published = self._heads.get(self._tree.size)
        if published is None:
            return
        if published.root == self._tree.root():
            self._good_until = published.size
            self._report.count("published heads that fit")
        else:
            self._report.problem(
                f"the published head over {published.size} transfers is not theirs: "
                f"something among {self._good_until + 1} to {published.size} was changed after it was signed"
            )


def _header(
    file: IO[bytes], verifiers: Sequence[Verifier], report: Report
) -> tuple[dict[str, Any] | None, Head | None]:
    try:
        line = next(_lines(file), b"")
        header = strict_json(line)
        if not isinstance(header, dict) or header.keys() != {"checkpoint", "format", "ledger", "size"}:
            raise ValueError("these are not the fields of a first line")
        if header["format"] != FORMAT or type(header["size"]) is not int or type(header["ledger"]) is not str:
            raise ValueError("it is no export that is known here")
        if canonical(header) + b"\n" != line:
            raise ValueError("it is not written as exports are")
    except ValueError as error:
        report.problem(f"line 1 of the file cannot be read ({error})")
        return None, None
    try:
        head = open_head(header["checkpoint"], verifiers)
    except NotSigned as error:
        report.problem(str(error))
        return header, None
    if (head.size, head.ledger) != (header["size"], header["ledger"]):
        report.problem("the signed head is not over what the first line says")
        return header, None
    return header, head


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    while line := file.readline(_LONGEST_LINE):
        yield line


def _transfer(line: bytes) -> tuple[dict[str, Any] | None, bytes, Sequence[bytes]]:
    """A line's transfer, its hash as a leaf, and the hashes that are said to be its. Raises ValueError."""
    data = strict_json(line)
    if not isinstance(data, dict) or data.keys() != {"hashes", "leaf"}:
        raise ValueError("these are not the fields of a line")
    written = canonical(data["leaf"])
    if b'{"hashes":%b,"leaf":%b}\n' % (canonical(data["hashes"]), written) != line:
        raise ValueError("it is not written as exports are")
    leaf = None if data["leaf"] is None else check_fields(data["leaf"])
    return leaf, hash_of_leaf(written), hashes_in(data["hashes"])


def _altered(leaf: dict[str, Any]) -> str:
    told = f"{leaf['amount']} points, {leaf['code']}, {leaf['reference']!r}, posted {leaf['posted_at']}"
    return f"transfer {leaf['sequence']} is not what was sealed; it now reads: {told}"
