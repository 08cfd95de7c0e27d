"""What the registry of merchants refuses."""

from chassis.core.errors import Conflict, FieldError, Invalid, NotFound


class MerchantRegistered(Conflict):
    code = "merchant_registered"
    title, title_zh = "This organisation is registered as a merchant already", "该单位已登记为商户"


class StoreExists(Conflict):
    code = "store_exists"
    title, title_zh = "The merchant has a store with this id already", "该门店编号已存在"


class StoreNotFound(NotFound):
    code = "store_not_found"
    title, title_zh = "The merchant has no such store", "没有这个门店"


class TooManyStores(Conflict):
    code = "too_many_stores"
    title, title_zh = "The merchant has as many stores as it may", "门店数量已达上限"


class KeyNotFound(NotFound):
    code = "key_not_found"
    title, title_zh = "The merchant has no such key", "没有这个密钥"


class KeyKnown(Conflict):
    """A key is registered once. One that was revoked or has run out stays so: make another."""

    code = "key_known"
    title, title_zh = "This key is on record already; make a new one", "该密钥已登记过，请生成新的密钥"


class KeyProofWrong(Invalid):
    """Whoever registers a key must show that they have its private half."""

    code = "key_proof_wrong"
    title, title_zh = "The proof is not the signature of this key's owner", "密钥持有证明不正确"

    def __init__(self, statement: str) -> None:
        reason = f"must be the signature, in base64, by this key's private half over {statement!r}"
        super().__init__(fields=[FieldError("body.proof", reason)])


class KeyValidityWrong(Invalid):
    code = "key_validity_wrong"
    title, title_zh = "A key cannot be good for that time", "密钥有效期不正确"

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(fields=[FieldError(f"body.{name}", reason)])
