"""What the OpenAPI document says of the merchants' operations is what their developers will build on."""

from typing import Any

from tests.points.merchants.conftest import Market

SHAPE = {"application/json": {"schema": {"$ref": "#/components/schemas/MerchantError"}}}
OPEN = "/merchant/v1/platform-keys"
SIGNED_HEADERS = {"Request-ID", "HHBY-Timestamp", "HHBY-Nonce", "HHBY-Serial", "HHBY-Signature"}


def operations(market: Market) -> dict[str, Any]:
    """The operations under /merchant/v1 by their paths: each path has one. Responses stand there in full."""
    document = market.points.town.apps["points"].openapi()
    shared = document["components"]["responses"]
    found = {}
    for path, item in document["paths"].items():
        if path.startswith("/merchant/v1"):
            [operation] = item.values()
            responses = {
                status: shared[response["$ref"].rpartition("/")[2]] if "$ref" in response else response
                for status, response in operation["responses"].items()
            }
            found[path] = operation | {"responses": responses}
    return found


def test_every_refusal_is_said_to_be_in_the_merchants_shape(market: Market) -> None:
    for operation in operations(market).values():
        for status, response in operation["responses"].items():
            assert set(response["headers"]) == SIGNED_HEADERS
            if status != "200":
                assert response["content"] == SHAPE
        assert {"400", "401", "404", "405", "409", "413", "429", "500", "503"} <= set(operation["responses"])
        assert "422" not in operation["responses"]


def test_signing_is_said_to_be_needed_everywhere_but_for_the_platforms_keys(market: Market) -> None:
    found = operations(market)
    assert len(found) == 12
    for path, operation in found.items():
        assert ({} in operation["security"]) == (path == OPEN)
        assert {"merchant_signature": []} in operation["security"]


def test_a_header_that_means_nothing_here_is_not_offered(market: Market) -> None:
    for operation in operations(market).values():
        assert "Idempotency-Key" not in {parameter["name"] for parameter in operation.get("parameters", [])}
