"""Counters of the edge, for Prometheus. Labels take few values: never a path, an address or a person."""

from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
GONE = "gone"


class EdgeMetrics:
    """Requests by service (`gateway` for the gateway's own pages), method and class of status."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "beiyuan_gateway_requests",
            "Requests by outcome; `gone` where the client hung up first",
            ["service", "method", "status"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "beiyuan_gateway_request_seconds",
            "Time from the request's first byte to the last of its answer",
            ["service"],
            registry=self.registry,
        )
        # To look one up by its labels costs several times what counting does.
        self._requests_of = cache(self._requests.labels)
        self._seconds_of = cache(self._seconds.labels)
        self.in_flight = 0
        gauge = Gauge("beiyuan_gateway_in_flight", "Requests being answered now", registry=self.registry)
        gauge.set_function(lambda: self.in_flight)

    def count(self, service: str, method: str, status: int | None, seconds: float) -> None:
        """Count one request; `status` is None where the client hung up before there was one."""
        outcome = f"{status // 100}xx" if status else GONE
        self._requests_of(service, method if method in _METHODS else "other", outcome).inc()
        self._seconds_of(service).observe(seconds)
