"""What the service's OpenAPI document says of the merchants' door, where it differs from the other routes."""

from typing import Any

from services.points.merchants import envelope
from services.points.merchants.routes import OPEN_PATHS

Json = dict[str, Any]

_SCHEME = "merchant_signature"
_SECURITY: Json = {
    "type": "apiKey",
    "in": "header",
    "name": "Authorization",
    "description": (
        '`HHBY1-SHA256-RSA2048 mchid="…",nonce_str="…",signature="…",timestamp="…",serial_no="…"` (or '
        "`HHBY1-ED25519`, for a key of that kind). The signature, in base64, is over METHOD, PATH?QUERY, TIMESTAMP "
        "(seconds since 1970), NONCE (16 to 32 characters, new each time) and BODY, each followed by a newline. "
        "docs/merchant.md shows it step by step."
    ),
}
_ERROR: Json = {
    "title": "MerchantError",
    "description": "A refusal or failure under /merchant/v1. `code` is what programs go by.",
    "type": "object",
    "required": ["code", "message", "detail"],
    "properties": {
        "code": {"type": "string"},
        "message": {"type": "string", "description": "For people, in Chinese and English."},
        "detail": {
            "type": "object",
            "properties": {
                "reason": {"type": "string"},
                "fields": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["name", "reason"],
                        "properties": {"name": {"type": "string"}, "reason": {"type": "string"}},
                    },
                },
            },
        },
    },
}
_STRING: Json = {"schema": {"type": "string"}}
_HEADERS: Json = {
    "Request-ID": _STRING | {"required": True, "description": "Names this request when you ask us about it."},
    "HHBY-Timestamp": _STRING | {"description": "On signed replies: seconds since 1970."},
    "HHBY-Nonce": _STRING | {"description": "The request's."},
    "HHBY-Serial": _STRING | {"description": "Which of the platform's keys signed."},
    "HHBY-Signature": _STRING
    | {"description": "Base64, by RSA PKCS#1 v1.5 with SHA-256, over HHBY-Timestamp, HHBY-Nonce and the body."},
}
_REFUSALS = {
    "400": "`PARAM_ERROR`: `detail.fields` names what is wrong",
    "401": "`SIGN_ERROR`, `TIMESTAMP_EXPIRED` or `NONCE_REUSED`",
    "403": "`NO_AUTH`: not a store of this merchant, the merchant is suspended, or a use is to be undone after an hour",
    "404": "`COUPON_NOT_FOUND`, `REQUEST_NOT_FOUND`, `BILL_NOT_READY` (see Retry-After) or `NOT_FOUND`",
    "405": "`METHOD_NOT_ALLOWED`",
    "408": "`PARAM_ERROR`: the body took too long to arrive",
    "409": (
        "`COUPON_USED`, `COUPON_LOCKED`, `COUPON_EXPIRED`, `COUPON_CODE_STALE`, `COUPON_NOT_USED`, `USE_SETTLED`, "
        "`OUT_REQUEST_NO_CONFLICT` or `REQUEST_IN_PROGRESS` (see Retry-After)"
    ),
    "413": "`PARAM_ERROR`: the body is too large",
    "429": "`RATE_LIMITED`: see Retry-After",
    "500": "`SYSTEM_ERROR`",
    "502": "`SYSTEM_ERROR`: it is not known what was done; repeat with the same number",
    "503": "`SYSTEM_ERROR`: repeat with the same number",
    "504": "`SYSTEM_ERROR`: it is not known what was done; repeat with the same number",
}


def describe(document: Json) -> None:
    """Give the operations under /merchant/v1 their scheme, their headers and their one shape of refusals."""
    components = document["components"]
    components["schemas"]["MerchantError"] = _ERROR
    components.setdefault("securitySchemes", {})[_SCHEME] = _SECURITY
    components.setdefault("headers", {}).update(_HEADERS)
    components.setdefault("responses", {}).update({_name(status): _refusal(text) for status, text in _REFUSALS.items()})
    for path, item in document["paths"].items():
        if not path.startswith(envelope.PATH + "/"):
            continue
        for operation in item.values():
            operation["security"] = [{}, {_SCHEME: []}] if path in OPEN_PATHS else [{_SCHEME: []}]
            operation["responses"] = {
                "200": operation["responses"]["200"] | {"headers": _header_references()},
                **{status: {"$ref": f"#/components/responses/{_name(status)}"} for status in _REFUSALS},
            }
            operation["parameters"] = [
                parameter for parameter in operation.get("parameters", []) if parameter["name"] != "Idempotency-Key"
            ]
            if not operation["parameters"]:
                del operation["parameters"]


def _refusal(description: str) -> Json:
    schema = {"$ref": "#/components/schemas/MerchantError"}
    return {
        "description": description,
        "headers": _header_references(),
        "content": {"application/json": {"schema": schema}},
    }


def _header_references() -> Json:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in _HEADERS}


def _name(status: str) -> str:
    return f"Merchant{status}"
