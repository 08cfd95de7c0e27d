"""The demo town's merchants 商家: what they are to the till, and their stores."""

from dataclasses import dataclass
from uuid import UUID

from beiyuan.demo import names
from beiyuan.demo.organisations import MERCHANTS as _ORGANISATIONS
from beiyuan.demo.organisations import Organisation

_STORES = {
    "bakery": ("槐安里总店", "星桥里店", "柳笛湾店"),
    "books": ("书田里店",),
    "barber": ("望禾里店", "棠梨园店"),
    "greengrocer": ("金穗园店", "晨露里店", "青砚里店"),
    "bicycles": ("竹影里店",),
    "sports-hall": ("云杉里馆", "澄波湾馆"),
}


@dataclass(frozen=True, slots=True)
class Merchant:
    """An organisation that honours coupons. `stores` holds the names of its stores by their ids."""

    organisation: Organisation
    stores: dict[str, str]

    @property
    def id(self) -> UUID:
        """The organisation's."""
        return self.organisation.id

    @property
    def name(self) -> str:
        return self.organisation.name

    @property
    def mchid(self) -> str:
        """商户号, ten digits, the same in every installation."""
        return f"{names.number('mchid', self.organisation.key, 100 * 10**7, 101 * 10**7)}"


def _merchant(key: str, stores: tuple[str, ...]) -> Merchant:
    organisation = _ORGANISATIONS[key]
    return Merchant(
        organisation, {f"{key}-{n:02d}": f"{organisation.name}{store}" for n, store in enumerate(stores, 1)}
    )


MERCHANTS = {key: _merchant(key, stores) for key, stores in _STORES.items()}
"""By the organisation's key, such as `bakery`."""
