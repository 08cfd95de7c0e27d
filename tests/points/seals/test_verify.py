"""The offline check stands alone: by published examples, and without anything of the services."""

import subprocess
import sys
from pathlib import Path

import pytest

from beiyuan.verify import notes
from beiyuan.verify.leaves import canonical, strict_json
from beiyuan.verify.notes import NotSigned, Verifier

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
SIGNATURE = (
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
)
"""The example of Go's golang.org/x/mod/sumdb/note, the first implementation of signed notes."""


def test_the_published_example_of_a_signed_note_is_read() -> None:
    verifier = Verifier.parse(EXAMPLE)
    assert verifier.name == "PeterNeumann"
    assert notes.is_signed(TEXT, [SIGNATURE], verifier)
    with pytest.raises(NotSigned, match="is wrong"):
        notes.is_signed(TEXT + " ", [SIGNATURE], verifier)
    other = Verifier.parse("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k")
    assert not notes.is_signed(TEXT, [SIGNATURE], other)
    assert notes.is_signed(TEXT, ["— other.example/key AAAAAAAA", SIGNATURE], verifier)


@pytest.mark.parametrize(
    "key",
    [
        "PeterNeumann",
        "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a3+AhpC2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a3+not base64",
    ],
    ids=["no key", "another id", "another kind", "no base64"],
)
def test_a_key_that_is_not_what_it_says_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match=r"key|base64"):
        Verifier.parse(key)


@pytest.mark.parametrize("text", ['{"a":1.0}', '{"a":1,"a":2}', '{"a":NaN}', '{"a":1e3}', "[1"])
def test_what_can_be_read_in_two_ways_is_not_read(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # which one is the JSON reader's affair
        strict_json(text)


def test_canonical_json_is_rfc_8785s() -> None:
    value = strict_json(
        '{ "b": "\\u20ac\\u0024\\u000F\\u000aA\'B\\u0022\\u005c\\\\\\"\\/", "a": [null, 1, "\\u6C34"] }'
    )
    assert canonical(value).decode() == '{"a":[null,1,"水"],"b":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'


def run(*arguments: str, code: str = "") -> subprocess.CompletedProcess[str]:
    program = ["-c", code] if code else ["-m", "beiyuan.verify"]
    return subprocess.run(
        [sys.executable, *program, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )


def test_the_check_needs_python_and_cryptography_alone() -> None:
    loaded = run(
        code="import sys; from beiyuan.verify import __main__, files\n"
        "print({name.split('.')[0] for name in sys.modules} - sys.stdlib_module_names - set(sys.argv))"
    )
    assert loaded.returncode == 0, loaded.stderr
    foreign = {name for name in strict_names(loaded.stdout) if not name.startswith("_")}
    assert foreign <= {"beiyuan", "cryptography", "cffi"}
    ours = run(code="import sys; import beiyuan.verify.__main__; print({n for n in sys.modules if n[:7] == 'beiyuan'})")
    assert {".".join(name.split(".")[:2]) for name in strict_names(ours.stdout)} == {"beiyuan", "beiyuan.verify"}


def strict_names(printed: str) -> set[str]:
    return {name.strip(" '") for name in printed.strip().strip("{}").split(",")}


def test_a_file_or_key_that_cannot_be_read_is_told_plainly(tmp_path: Path) -> None:
    missing = run(str(tmp_path / "none.json"), "--key", EXAMPLE)
    assert (missing.returncode, missing.stdout) == (2, "")
    assert "none.json" in missing.stderr
    (tmp_path / "empty").write_text("")
    assert run(str(tmp_path / "empty"), "--key", str(tmp_path / "nokey")).returncode == 2
    refused = run(str(tmp_path / "empty"), "--key", EXAMPLE)
    assert (refused.returncode, refused.stdout.splitlines()[-1]) == (1, "This does not stand.")


def test_a_refusal_that_was_saved_in_place_of_a_receipt_is_not_called_a_forgery(tmp_path: Path) -> None:
    saved = tmp_path / "receipt.json"
    saved.write_text('{"type":"urn:beiyuan:problem:not_sealed_yet","code":"not_sealed_yet","title":"Ask again"}')
    told = run(str(saved), "--key", EXAMPLE)
    assert (told.returncode, told.stdout) == (2, "")
    assert "not_sealed_yet: Ask again" in told.stderr
