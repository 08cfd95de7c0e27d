"""The demo town's merchants 商家: what they are to the till, and their stores."""

from dataclasses import dataclass
from uuid import UUID

from beiyuan.demo import names
from beiyuan.demo.organisations import MERCHANTS as _ORGANISATIONS
from beiyuan.demo.organisations import Organisation
from beiyuan.demo.people import PEOPLE, Person

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


@dataclass(frozen=True, slots=True)
class Clerk:
    """A neighbour who redeems coupons at a store's counter 店员. `called` is what the manager calls them."""

    merchant: Merchant
    store_id: str
    person: Person

    @property
    def id(self) -> UUID:
        """The same in every installation."""
        return names.stable_id("clerk", f"{self.merchant.organisation.key}/{self.person.key}")

    @property
    def called(self) -> str:
        return f"小{self.person.name[0]}"


def _merchant(key: str, stores: tuple[str, ...]) -> Merchant:
    organisation = _ORGANISATIONS[key]
    return Merchant(
        organisation, {f"{key}-{n:02d}": f"{organisation.name}{store}" for n, store in enumerate(stores, 1)}
    )


MERCHANTS = {key: _merchant(key, stores) for key, stores in _STORES.items()}
"""By the organisation's key, such as `bakery`."""

_CLERKS = {
    "bakery": "family-21/adult-2",
    "books": "family-24/adult-2",
    "barber": "family-25/adult-2",
    "greengrocer": "family-26/adult-2",
    "bicycles": "family-29/adult-2",
    "sports-hall": "family-30/adult-2",
}

CLERKS = tuple(
    Clerk(MERCHANTS[key], next(iter(MERCHANTS[key].stores)), PEOPLE[person]) for key, person in _CLERKS.items()
)
"""One at the first store of each merchant; managers need none to redeem themselves."""
