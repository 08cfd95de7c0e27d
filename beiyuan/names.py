"""The processes that 和谐北苑 consists of, by name."""

SERVICES = ("identity", "orders", "events", "points")
PROCESSES = ("gateway", *SERVICES)
DEFAULT_PORTS = {"gateway": 8000, "identity": 8101, "orders": 8102, "events": 8103, "points": 8104}
