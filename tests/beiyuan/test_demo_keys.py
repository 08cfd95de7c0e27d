"""The demo merchants' keys: every installation's own, made once, and told to nobody but its owner."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from typer.testing import CliRunner

from beiyuan.cli import app
from beiyuan.demo import town
from beiyuan.demo.merchant_keys import merchant_keys

MCHIDS = [merchant.mchid for merchant in town.MERCHANTS.values()]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose keys have been made."""
    home = tmp_path_factory.mktemp("demo") / "我的 家"
    merchant_keys(home, MCHIDS)
    return home


def show(home: Path, *options: str) -> str:
    answer = CliRunner().invoke(app, ["demo", "show", *options], env={"BEIYUAN_HOME": str(home)})
    assert answer.exit_code == 0, answer.output
    return answer.output


def test_a_merchant_has_an_rsa_key_of_2048_bits_and_its_public_half(home: Path) -> None:
    for key in merchant_keys(home, MCHIDS).values():
        private = load_pem_private_key(key.private_key.encode(), None)
        assert isinstance(private, RSAPrivateKey)
        assert private.key_size == 2048
        public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        assert public.decode() == key.public_key
        assert len(key.serial_no) == 40
        assert set(key.serial_no) <= set("0123456789ABCDEF")


def test_keys_are_made_once_and_only_their_owner_can_read_them(home: Path) -> None:
    files = [path for path in home.iterdir() if path.is_file()]
    assert [path.stat().st_mode & 0o777 for path in files] == [0o600]
    before = files[0].read_bytes()
    assert merchant_keys(home, MCHIDS) == merchant_keys(home, MCHIDS)
    assert files[0].read_bytes() == before


def test_two_installations_share_no_key(home: Path, tmp_path: Path) -> None:
    ours, theirs = (merchant_keys(folder, MCHIDS[:1])[MCHIDS[0]] for folder in (home, tmp_path))
    assert ours.private_key != theirs.private_key
    assert ours.serial_no != theirs.serial_no


def test_a_new_merchant_gets_a_key_and_the_others_keep_theirs(tmp_path: Path) -> None:
    before = merchant_keys(tmp_path, MCHIDS[:2])
    after = merchant_keys(tmp_path, MCHIDS[:3])
    assert {mchid: after[mchid] for mchid in before} == before
    assert list(after) == MCHIDS[:3]


def test_processes_that_need_them_at_the_same_moment_get_the_same_keys(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from beiyuan.demo.merchant_keys import merchant_keys;"
        "sys.stdin.read(1); print([key.serial_no for key in merchant_keys(Path(sys.argv[1]), sys.argv[2:]).values()])"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "home"), *MCHIDS[:2]]
    root = Path(__file__).parents[2]
    started = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root) for _ in range(3)
    ]
    for process in started:
        assert process.stdin
        process.stdin.write(".")
        process.stdin.flush()
    told = {process.communicate(timeout=180)[0] for process in started}
    assert len(told) == 1
    assert "[" in told.pop()


def test_programs_are_shown_the_keys_without_any_database(home: Path) -> None:
    shown = json.loads(show(home, "--json"))["merchants"]
    keys = merchant_keys(home, MCHIDS)
    assert {item["mchid"]: item["private_key"] for item in shown} == {m: key.private_key for m, key in keys.items()}
    assert {item["mchid"]: item["serial_no"] for item in shown} == {m: key.serial_no for m, key in keys.items()}
    assert set(shown[0]) == {"mchid", "name", "serial_no", "sandbox_serial_no", "private_key", "clerks", "store_ids"}


def test_they_are_made_if_nobody_needed_them_before(tmp_path: Path) -> None:
    first, second = (json.loads(show(tmp_path / "home", "--json"))["merchants"] for _ in range(2))
    assert first == second
    assert all(item["private_key"].startswith("-----BEGIN PRIVATE KEY-----") for item in first)


def test_a_file_that_cannot_be_read_or_written_is_told_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "demo-merchant-keys.json").write_text('{"merchants": [{"mchid": "1"}]}')
    (tmp_path / "file").write_text("")
    for home, remedy in (("broken", "Remove it"), ("file", "BEIYUAN_HOME")):
        answer = CliRunner().invoke(app, ["demo", "show", "--json"], env={"BEIYUAN_HOME": str(tmp_path / home)})
        assert answer.exit_code == 1
        assert remedy in " ".join(answer.stderr.split())
        assert answer.stdout == ""


def test_on_the_screen_no_key_is_shown(tmp_path: Path) -> None:
    assert "PRIVATE" not in show(tmp_path)
    assert list(tmp_path.iterdir()) == []
