"""The demo merchants' keys: each installation makes its own when they are first needed, and keeps them in its home.

A real merchant keeps its private key to itself. Here one plays the merchant too, so both halves lie in one file, which
only its owner may read.
"""

import hashlib
import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from beiyuan.installation import InstallationError
from chassis.core.keys import locked, write_key_file

_FILE = "demo-merchant-keys.json"
_BITS = 2048


@dataclass(frozen=True, slots=True)
class MerchantKey:
    """A merchant's key: the private half as PEM (PKCS#8), the public one likewise (SubjectPublicKeyInfo).

    `serial_no` is 40 hexadecimal digits, as of a certificate.
    """

    mchid: str
    serial_no: str
    private_key: str
    public_key: str

    @property
    def sandbox_serial_no(self) -> str:
        """What the same key is called in the sandbox, where it reaches no coupon of a household."""
        return f"{self.serial_no}-SANDBOX"


def merchant_keys(home: Path, mchids: Iterable[str]) -> dict[str, MerchantKey]:
    """These merchants' keys by mchid. Those that the file in the home folder lacks are made; none is ever replaced.

    May be called by several processes at once: all get the same keys. Raises InstallationError, with the remedy.
    """
    path, wanted = home / _FILE, list(mchids)
    try:
        known = _read(path)
        if not known.keys() >= set(wanted):
            home.mkdir(parents=True, exist_ok=True, mode=0o700)
            with locked(home):
                known = _read(path)  # another process may have made them meanwhile
                known |= _generate([mchid for mchid in wanted if mchid not in known])
                _write(path, known.values())
    except OSError as error:
        raise InstallationError(
            f"The demo merchants' keys cannot be kept in {path} ({error.strerror}). Make the folder writable, or point "
            "BEIYUAN_HOME at another one."
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise InstallationError(
            f"{path} does not hold the demo merchants' keys. Remove it, and `beiyuan demo load` makes others."
        ) from error
    return {mchid: known[mchid] for mchid in wanted}


def _generate(mchids: list[str]) -> dict[str, MerchantKey]:
    # Large primes are sought outside the interpreter's lock.
    with ThreadPoolExecutor() as threads:
        return dict(zip(mchids, threads.map(_new_key, mchids), strict=True))


def _new_key(mchid: str) -> MerchantKey:
    key = rsa.generate_private_key(public_exponent=65537, key_size=_BITS)
    public = key.public_key()
    digest = hashlib.sha256(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    return MerchantKey(
        mchid,
        serial_no=digest.hexdigest()[:40].upper(),
        private_key=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        public_key=public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
    )


def _read(path: Path) -> dict[str, MerchantKey]:
    if not path.exists():
        return {}
    return {item["mchid"]: MerchantKey(**item) for item in json.loads(path.read_text())["merchants"]}


def _write(path: Path, keys: Iterable[MerchantKey]) -> None:
    write_key_file(path, json.dumps({"merchants": [asdict(key) for key in keys]}, indent=2))
