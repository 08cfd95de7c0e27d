"""What the services' API answers, as far as the pages use it."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field


class Answer(BaseModel):
    """Further fields may come: they are not for these pages."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Place(Answer):
    kind: str
    name: str


class SubItem(Answer):
    code: str
    name: str
    urgent: bool
    sla_hours: int


class Item(Answer):
    code: str
    name: str
    subitems: list[SubItem]


class Category(Answer):
    items: list[Item]


class Taxonomy(Answer):
    categories: list[Category]
    outside: Category

    @property
    def items(self) -> list[Item]:
        """Every item, what is outside the categories last."""
        return [item for category in (*self.categories, self.outside) for item in category.items]


class EmergencyNumber(Answer):
    name: str
    phone: str


class OpenHere(Answer):
    """Something that is reported at the place and not yet done."""

    subitem_code: str
    subitem_name: str
    state: str
    reported_at: datetime


class PlacePage(Answer):
    """What the page of a QR code shows."""

    code: str
    place: Place
    community: str
    emergency: list[EmergencyNumber]
    likely: list[SubItem]
    open: list[OpenHere]


class Sent(Answer):
    """A report that was taken. Staff who enter it for somebody get no link."""

    number: str
    tracking_url: str | None


class Uploaded(Answer):
    id: UUID


class Photo(Answer):
    id: UUID
    purpose: str


class Visit(Answer):
    from_: datetime = Field(alias="from")
    to: datetime


class Addition(Answer):
    at: datetime
    text: str


class Step(Answer):
    """A row of the history. `why` is what the handler says was done."""

    at: datetime
    post: str
    from_state: str | None
    to_state: str
    why: str | None


class Tracked(Answer):
    """The reporter's view of their report. `may` says what the link allows now."""

    number: str
    state: str
    subitem_name: str
    urgent: bool
    place: Place
    unit: str | None
    created_at: datetime
    contact_by: datetime
    due_at: datetime
    awaits_check: bool
    closed_at: datetime | None
    closed_why: str | None
    name: str | None
    phone: str | None
    description: str
    visit: Visit | None
    additions: list[Addition]
    photos: list[Photo]
    history: list[Step]
    may: list[str]

    @property
    def done(self) -> str | None:
        """What the handler says was done, last."""
        return next((step.why for step in reversed(self.history) if step.why), None)

    def photos_of(self, *purposes: str) -> list[Photo]:
        """The photos that show what was reported (`report`), added (`addition`) or done (`proof`)."""
        return [photo for photo in self.photos if photo.purpose in purposes]


class PrivacyNotice(Answer):
    version: str
    text: str


class Head(Answer):
    """A signed head of a ledger: over how many transfers, when, and the signed text."""

    size: int
    signed_at: datetime
    checkpoint: str


class Heads(Answer):
    items: list[Head]


class VerifierKey(Answer):
    verifier: str


class VerifierKeys(Answer):
    items: list[VerifierKey]
