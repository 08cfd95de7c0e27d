"""Who acts for a household, and with whom. Pure."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from chassis.core.errors import FieldError
from services.events.households.errors import ConsentRequired, NotAMember, NotOfHousehold
from services.events.households.schemas import MemberSnapshot


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether a member is under fourteen, and whether a guardian's consent is alive."""

    child: bool
    consented: bool

    @property
    def may_take_part(self) -> bool:
        """An adult, or a child with a living consent."""
        return self.consented or not self.child


@dataclass(frozen=True, slots=True)
class Family:
    """A household as this service knows it: its members by id; none where it is not known."""

    id: UUID
    members: Mapping[UUID, Standing]


def suffices(family: Family, actor_id: UUID, members: Collection[UUID]) -> bool:
    """Whether nothing that we know speaks against the actor's signing up these members: else identity is asked."""
    acting = family.members.get(actor_id)
    return (
        acting is not None
        and not acting.child
        and all(member in family.members and family.members[member].may_take_part for member in members)
    )


def check_actor(family: Family, actor_id: UUID) -> None:
    """Raises NotOfHousehold unless they are an adult member: a token may outlive a membership by some minutes."""
    acting = family.members.get(actor_id)
    if acting is None or acting.child:
        raise NotOfHousehold


def check_reader(family: Family, actor_id: UUID) -> None:
    """Raises NotOfHousehold unless they are a member."""
    if actor_id not in family.members:
        raise NotOfHousehold


def check_members(family: Family, members: Sequence[UUID]) -> None:
    """Raises NotAMember or ConsentRequired, naming each member at fault (`body.members.0`)."""
    strangers = [number for number, member in enumerate(members) if member not in family.members]
    if strangers:
        raise NotAMember(fields=_fields(strangers, "is not a member of your household"))
    forbidden = [number for number, member in enumerate(members) if not family.members[member].may_take_part]
    if forbidden:
        raise ConsentRequired(fields=_fields(forbidden, "is under fourteen, without a guardian's living consent"))


def _fields(numbers: Iterable[int], reason: str) -> list[FieldError]:
    return [FieldError(f"body.members.{number}", reason) for number in numbers]


@dataclass(frozen=True, slots=True)
class Changes:
    """Who may no longer take part for a household: those who left it, and children whose consent is not alive."""

    left: frozenset[UUID]
    unconsented: frozenset[UUID]


def changes(before: Collection[UUID], now: Iterable[MemberSnapshot]) -> Changes:
    """What a new snapshot means for what the household signed up for.

    Left is who stood in the copy and stands there no more. Whoever never stood there did not leave: they may have come
    with a household that joined this one, which is told separately and may be told first.
    """
    present = {member.person_id: Standing(member.child, member.consented) for member in now}
    return Changes(
        left=frozenset(before) - present.keys(),
        unconsented=frozenset(member for member, standing in present.items() if not standing.may_take_part),
    )
