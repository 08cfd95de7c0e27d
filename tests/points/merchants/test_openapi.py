"""What the OpenAPI document says of the merchants' operations is what their developers will build on."""

from typing import Any

from jsonschema import Draft202012Validator

from services.points.merchants.openapi import CODES
from tests.points.merchants.conftest import Market

SHAPE = {"application/json": {"schema": {"$ref": "#/components/schemas/MerchantError"}}}
OPEN = "/merchant/v1/platform-keys"
SIGNED_HEADERS = {"Request-ID", "HHBY-Timestamp", "HHBY-Nonce", "HHBY-Serial", "HHBY-Signature"}
FURTHER_HEADERS = {"Retry-After", "HHBY-Bill-SHA256"}


def document_of(market: Market) -> dict[str, Any]:
    """What the service says of itself."""
    document: dict[str, Any] = market.points.town.apps["points"].openapi()
    return document


def operations(market: Market) -> dict[str, Any]:
    """The operations under /merchant/v1 by their paths: each path has one. Responses stand there in full."""
    document = document_of(market)
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


def without_example(content: dict[str, Any]) -> dict[str, Any]:
    return {kind: {"schema": said["schema"]} for kind, said in content.items()}


def check(market: Market, schema: dict[str, Any], example: Any) -> None:
    """The example is of this schema."""
    Draft202012Validator({"components": document_of(market)["components"], **schema}).validate(example)


def test_every_refusal_is_said_to_be_in_the_merchants_shape(market: Market) -> None:
    for operation in operations(market).values():
        for status, response in operation["responses"].items():
            assert set(response["headers"]) - FURTHER_HEADERS == SIGNED_HEADERS
            if status != "200":
                assert without_example(response["content"]) == SHAPE
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


def test_who_copies_an_example_sends_and_gets_what_fits(market: Market) -> None:
    schemas = document_of(market)["components"]["schemas"]
    for operation in operations(market).values():
        if request := operation.get("requestBody"):
            content = request["content"]["application/json"]
            check(market, content["schema"], content["example"])
        for parameter in operation.get("parameters", []):
            check(market, parameter["schema"], parameter["example"])
        answer = operation["responses"]["200"]["content"].get("application/json")
        if answer is None:
            assert operation["operationId"] == "daily_bill"
        else:
            check(market, answer["schema"], answer["example"])
            assert set(answer["example"]) == set(schemas[answer["schema"]["$ref"].rpartition("/")[2]]["properties"])


def test_the_headers_that_a_till_waits_by_or_checks_a_bill_with_are_said_to_be_there(market: Market) -> None:
    for path, operation in operations(market).items():
        for status, response in operation["responses"].items():
            assert ("Retry-After" in response["headers"]) == (status in {"404", "409", "429", "503"})
            has_bill = (path, status) == ("/merchant/v1/bills/daily", "200")
            assert ("HHBY-Bill-SHA256" in response["headers"]) == has_bill


def test_the_codes_of_a_refusal_are_listed(market: Market) -> None:
    error = document_of(market)["components"]["schemas"]["MerchantError"]
    assert set(error["properties"]["code"]["enum"]) == {code for codes in CODES.values() for code in codes}
