"""What rules ask and give, in CEL over a fact's fields: checked by type, compiled once, bounded in what they do.

The environment of a fact type declares its fields with their types, so a misspelt field or a comparison of a number
with a word is refused before anything is evaluated. There are no loops (and the library would end them after 10,000
steps), nesting is limited to 32 levels, regular expressions are RE2's; integers are of 64 bits and exact.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache
from types import UnionType
from typing import Any, Generic, Literal, TypeVar, Union, get_args, get_origin
from uuid import UUID

from annotated_types import Ge, Le, MultipleOf
from cel_expr_python import cel
from pydantic import AwareDatetime
from pydantic.fields import FieldInfo

from services.points.awards.facts import ToldFact

Value = TypeVar("Value", bool, int)

MAX_LENGTH = 1000
"""Of an expression, in characters."""


class ExpressionError(ValueError):
    """An expression that does not fit its fact type, or that gave no answer of its type for a fact: which, and why."""


@dataclass(frozen=True, slots=True)
class FactField:
    """A field of a fact type as expressions see it. `values` are such as it may have, the extremes among them."""

    name: str
    kind: type
    nullable: bool
    values: tuple[Any, ...]
    few: bool = False
    """Whether it can have these values and no others."""

    @property
    def cel_type(self) -> Any:
        """Its type in CEL; one that may be null is only known when it is looked at."""
        if self.nullable:
            return cel.Type.DYN
        return {bool: cel.Type.BOOL, int: cel.Type.INT, datetime: cel.Type.TIMESTAMP}.get(self.kind, cel.Type.STRING)


@cache
def fields_of(fact_type: type[ToldFact]) -> dict[str, FactField]:
    """The fields that a fact type declares. What its teller adds beyond them, rules cannot rely on."""
    return {name: _field(name, info) for name, info in fact_type.model_fields.items()}


def _field(name: str, info: FieldInfo) -> FactField:
    annotation: Any = info.annotation
    metadata, nullable = list(info.metadata), False
    if get_origin(annotation) in {Union, UnionType}:
        [inner] = [part for part in get_args(annotation) if part is not type(None)]
        annotation, nullable = inner, True
    if hasattr(annotation, "__metadata__"):
        metadata += annotation.__metadata__
        annotation = get_args(annotation)[0]
    kind = datetime if annotation is AwareDatetime else annotation
    if get_origin(kind) is Literal:
        kind, values, few = str, get_args(annotation), True
    else:
        values, few = _values(kind, metadata), kind is bool
    assert isinstance(kind, type), f"{name}: {annotation}"
    return FactField(name, kind, nullable, (*values, *([None] if nullable else [])), few)


def _values(kind: Any, metadata: list[Any]) -> tuple[Any, ...]:
    if kind is bool:
        return True, False
    if kind is UUID:
        return (UUID(int=1),)
    if kind is datetime:
        return tuple(map(datetime.fromisoformat, ("2024-02-29T00:00:00+08:00", "2026-12-31T23:59:59+08:00")))
    if kind is int:
        least: Any = next((item.ge for item in metadata if isinstance(item, Ge)), -(2**63))
        most: Any = next((item.le for item in metadata if isinstance(item, Le)), 2**63 - 1)
        step: Any = next((item.multiple_of for item in metadata if isinstance(item, MultipleOf)), 1)
        return tuple(sorted({least, least + step, 60 * step, most // step * step}))
    return ("1", "text")


@cache
def _environment(fact_type: type[ToldFact]) -> Any:
    return cel.NewEnv(variables={name: field.cel_type for name, field in fields_of(fact_type).items()})


class Expression(Generic[Value]):
    """A compiled expression that gives a bool or an int for a fact of its type."""

    def __init__(self, fact_type: type[ToldFact], source: str, gives: type[Value]) -> None:
        """Raises ExpressionError where it does not compile, or can give nothing of the type."""
        if len(source) > MAX_LENGTH:
            raise ExpressionError(f"is longer than {MAX_LENGTH} characters")
        if loop := _LOOPS.search(source):
            raise ExpressionError(f"{loop.group()} is not for facts, which have no lists")
        self._environment = _environment(fact_type)
        self._type, self._word = _GIVES[gives]
        try:
            self._program = self._environment.compile(source)
        except RuntimeError as error:
            raise ExpressionError(_plain(str(error))) from None
        static = self._program.return_type()
        if static not in (self._type, cel.Type.DYN):
            raise ExpressionError(f"gives {static.name().lower()}, not {self._word}")
        # The words of the text are more than enough: what is not among them is not looked at.
        words = set(re.findall(r"\w+", source))
        fields = [field for name, field in fields_of(fact_type).items() if name in words]
        self._fields = [(field.name, field.kind is UUID) for field in fields]
        # It knows nothing but the fact, not even the time: to the same question the answer is the same.
        self._repeats = all(field.few for field in fields)
        self._answers: dict[tuple[Any, ...], Value] = {}

    def of(self, fact: ToldFact) -> Value:
        """What it gives for a fact. Raises ExpressionError where that is nothing, or of another type."""
        asked = tuple([getattr(fact, name) for name, _ in self._fields]) if self._repeats else None
        if asked is not None and asked in self._answers:
            return self._answers[asked]
        data = {}
        for name, is_id in self._fields:
            value = getattr(fact, name)
            data[name] = str(value) if is_id and value is not None else value
        try:
            result = self._program.eval(data=data)
        except RuntimeError as error:
            raise ExpressionError(_plain(str(error))) from None
        kind = result.type()
        if kind == self._type:
            answer: Value = result.value()
            if asked is not None:
                self._answers[asked] = answer
            return answer
        # A null's value must not be asked for: the library (0.1.3) gives None away without counting the reference.
        raise ExpressionError(
            _plain(result.value()) if kind == cel.Type.ERROR else f"gives {kind.name().lower()}, not {self._word}"
        )


_LOOPS = re.compile(r"\b(all|exists|exists_one|map|filter)\s*\(")
_GIVES: dict[type, tuple[Any, str]] = {bool: (cel.Type.BOOL, "true or false"), int: (cel.Type.INT, "a whole number")}


@lru_cache(maxsize=1000)
def condition(fact_type: type[ToldFact], source: str) -> Expression[bool]:
    """The compiled condition of a rule. Raises ExpressionError."""
    return Expression(fact_type, source, bool)


@lru_cache(maxsize=1000)
def amount(fact_type: type[ToldFact], source: str) -> Expression[int]:
    """The compiled amount of a rule. Raises ExpressionError."""
    return Expression(fact_type, source, int)


def _plain(message: str) -> str:
    """The library's message without its codes and drawings."""
    if found := re.search(r"ERROR: <input>:(-?\d+):(-?\d+): (.*)", message):
        line, column, reason = found.groups()
        place = f"line {line}, column {column}: " if int(line) > 0 else ""
        message = place + reason
    message = re.sub(r"^[A-Z_]+: ", "", re.sub(r" \[[A-Z_]+\]$", "", message.strip()))
    return message.replace(" (in container '')", "")[:300]
