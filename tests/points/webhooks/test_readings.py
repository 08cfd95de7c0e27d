"""What an operator's Prometheus sees of webhooks."""

from datetime import timedelta

from chassis.core import clock
from tests.points.webhooks.conftest import NOON, Merchant, PostOffice, given_up
from tests.receiver import Receiver

OUTCOMES = 'beiyuan_webhooks_sent_total{outcome="%s",service="points"}'
WAITING = 'beiyuan_webhooks_waiting{service="points"}'
OVERDUE = 'beiyuan_webhooks_overdue_seconds{service="points"}'


async def numbers(office: PostOffice) -> dict[str, float]:
    """What /metrics says, by name and labels; 0 of what nobody has counted yet."""
    async with office.points.client(None) as client:
        lines = (await client.get("/metrics")).text.splitlines()
    parted = [line.rpartition(" ") for line in lines if line.startswith("beiyuan_webhook")]
    return {name: float(number) for name, _, number in parted}


async def test_what_was_taken_and_what_was_not_is_counted_by_reason(
    office: PostOffice, merchant: Merchant, receiver: Receiver
) -> None:
    before = await numbers(office)
    receiver.answers = lambda request: b"HTTP/1.1 %d Told\r\n\r\n" % (204 if b'"good"' in request.body else 500)
    with clock.frozen(NOON):
        await merchant.endpoint(receiver.url())
        await office.announce(*[merchant.told(kind=kind) for kind in ("good", "good", "bad")])
        await office.send()
    after = await numbers(office)
    counted = {name: after[OUTCOMES % name] - before.get(OUTCOMES % name, 0) for name in ("delivered", "status")}
    assert counted == {"delivered": 2, "status": 1}


async def test_what_waits_and_how_late_it_is_can_be_seen(
    office: PostOffice, merchant: Merchant, receiver: Receiver
) -> None:
    with clock.frozen(NOON):
        endpoint = await merchant.endpoint(receiver.url())
        idle = await numbers(office)
        await office.announce(merchant.told(number=1), merchant.told(number=2))
    with clock.frozen(NOON + timedelta(seconds=90)):
        stuck = await numbers(office)
        receiver.say(500)
        await office.send()
        trying = await numbers(office)
        await merchant.ask("PATCH", f"/{endpoint['id']}", {"state": "paused"})
        paused = await numbers(office)
    assert [(seen[WAITING], seen[OVERDUE]) for seen in (idle, stuck, trying, paused)] == [
        (0, 0),
        (2, 90),
        (2, 0),
        (0, 0),
    ]


async def test_endpoints_are_seen_by_how_they_are_doing(
    office: PostOffice, merchant: Merchant, receiver: Receiver
) -> None:
    receiver.answers = lambda request: b"HTTP/1.1 %d Told\r\n\r\n" % (204 if request.target == "/well" else 500)
    with clock.frozen(NOON):
        well, paused, failing = [await merchant.endpoint(receiver.url(path)) for path in ("/well", "/well", "/bad")]
        await merchant.ask("PATCH", f"/{paused['id']}", {"state": "paused"})
        await merchant.ask("DELETE", f"/{(await merchant.endpoint(receiver.url()))['id']}")
        await office.announce(merchant.told())
        await office.send()
        assert await endpoints(office) == {"well": 1, "failing": 1, "paused": 1, "disabled": 0}
        await office.announce(merchant.told(), merchant.told())
        await given_up(office, failing, NOON)
        assert await endpoints(office) == {"well": 1, "failing": 0, "paused": 1, "disabled": 1}
    assert (await merchant.shown(well))["failing_since"] is None


async def endpoints(office: PostOffice) -> dict[str, float]:
    """How many endpoints there are, by how they are doing."""
    seen = await numbers(office)
    name = 'beiyuan_webhook_endpoints{health="%s",service="points"}'
    return {health: seen[name % health] for health in ("well", "failing", "paused", "disabled")}
