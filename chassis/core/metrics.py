"""What a service has counted and what its database is asked for, as Prometheus reads it.

Labels take few values: never a path, an id, an address or a person.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from sqlalchemy.exc import SQLAlchemyError

from chassis.core.db import Database

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


@dataclass(frozen=True)
class Reading:
    """Numbers that the database is asked for whenever somebody looks: `read` gives them by the values of `labels`."""

    name: str
    text: str
    read: Callable[[Database], Awaitable[Mapping[tuple[str, ...], float]]]
    labels: tuple[str, ...] = ()


class Metrics:
    """The counters of one service, in a registry of its own, since several services may share a process."""

    def __init__(self, service: str, readings: Sequence[Reading] = ()) -> None:
        self.service = service
        self.registry = CollectorRegistry()
        self._readings = [
            (each, Gauge(each.name, each.text, ["service", *each.labels], registry=self.registry)) for each in readings
        ]
        requests = Counter(
            "beiyuan_requests",
            "Requests answered",
            ["service", "method", "route", "status"],
            registry=self.registry,
        )
        seconds = Histogram(
            "beiyuan_request_seconds",
            "Time to answer",
            ["service", "method", "route"],
            registry=self.registry,
        )
        # To look one up by its labels costs several times what counting does.
        self._requests_of = cache(partial(requests.labels, service))
        self._seconds_of = cache(partial(seconds.labels, service))
        self.messages_sent = Counter(
            "beiyuan_messages_sent",
            "Messages by outcome",
            ["service", "subscriber", "outcome"],
            registry=self.registry,
        )
        self.webhooks_sent = Counter(
            "beiyuan_webhooks_sent",
            "Tries to tell somebody's endpoint, by outcome",
            ["service", "outcome"],
            registry=self.registry,
        )
        self.merchant_refusals = Counter(
            "beiyuan_merchant_refusals",
            "Requests of merchants that were answered with an error, by its code",
            ["service", "code"],
            registry=self.registry,
        )
        self.batch_requests = Histogram(
            "beiyuan_batch_requests",
            "Requests that were carried out in one transaction",
            ["service"],
            buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000),
            registry=self.registry,
        )
        self.batch_wait_seconds = Histogram(
            "beiyuan_batch_wait_seconds",
            "Time from a request's arrival until the transaction that carries it out begins",
            ["service"],
            registry=self.registry,
        )

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request that was answered; `route` is a template, one of few."""
        known = method if method in _METHODS else "other"  # a caller may send any word
        self._requests_of(known, route, status).inc()
        self._seconds_of(known, route).observe(seconds)

    async def text(self, db: Database) -> bytes:
        """All of it; what the database must be asked for is left out while it is away."""
        for _, gauge in self._readings:
            gauge.clear()
        with suppress(SQLAlchemyError):
            for reading, gauge in self._readings:
                for values, number in (await reading.read(db)).items():
                    gauge.labels(self.service, *values).set(number)
        return generate_latest(self.registry)
