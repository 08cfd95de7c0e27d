"""What the service's OpenAPI document says of the merchants' door, where it differs from the other routes."""

from typing import Any

from services.points.merchants import envelope
from services.points.merchants.examples import EXAMPLES, REFUSAL, Example
from services.points.merchants.routes import OPEN_PATHS
from services.points.merchants.terms import BILL_SHA256

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
CODES = {
    "400": ("PARAM_ERROR",),
    "401": ("SIGN_ERROR", "TIMESTAMP_EXPIRED", "NONCE_REUSED"),
    "403": ("NO_AUTH",),
    "404": ("COUPON_NOT_FOUND", "REQUEST_NOT_FOUND", "BILL_NOT_READY", "NOT_FOUND"),
    "405": ("METHOD_NOT_ALLOWED",),
    "408": ("PARAM_ERROR",),
    "409": (
        "COUPON_USED",
        "COUPON_LOCKED",
        "COUPON_EXPIRED",
        "COUPON_CODE_STALE",
        "COUPON_NOT_USED",
        "USE_SETTLED",
        "OUT_REQUEST_NO_CONFLICT",
        "REQUEST_IN_PROGRESS",
    ),
    "413": ("PARAM_ERROR",),
    "429": ("RATE_LIMITED",),
    "500": ("SYSTEM_ERROR",),
    "502": ("SYSTEM_ERROR",),
    "503": ("SYSTEM_ERROR",),
    "504": ("SYSTEM_ERROR",),
}
"""The codes that go with each status of a refusal."""

_ERROR: Json = {
    "title": "MerchantError",
    "description": "A refusal or failure under /merchant/v1. `code` is what programs go by.",
    "type": "object",
    "required": ["code", "message", "detail"],
    "properties": {
        "code": {"type": "string", "enum": list(dict.fromkeys(code for codes in CODES.values() for code in codes))},
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
_RETRY_AFTER = "Retry-After"
_FURTHER_HEADERS: Json = {
    _RETRY_AFTER: {"schema": {"type": "integer"}, "description": "Seconds to wait before the request is repeated."},
    BILL_SHA256: _STRING | {"description": "SHA-256 of the CSV within, in hexadecimal."},
}
_MAY_BE_REPEATED = {"404", "409", "429", "503"}
_WHY = {
    "400": "`detail.fields` names what is wrong",
    "403": "not a store of this merchant, the merchant is suspended, or a use is to be undone after an hour",
    "408": "the body took too long to arrive",
    "413": "the body is too large",
    "502": "it is not known what was done; repeat with the same number",
    "503": "repeat with the same number",
    "504": "it is not known what was done; repeat with the same number",
}


def describe(document: Json) -> None:
    """Give the operations under /merchant/v1 their scheme, headers, examples and their one shape of refusals."""
    components = document["components"]
    components["schemas"]["MerchantError"] = _ERROR
    components.setdefault("securitySchemes", {})[_SCHEME] = _SECURITY
    components.setdefault("headers", {}).update(_HEADERS | _FURTHER_HEADERS)
    components.setdefault("responses", {}).update({_name(status): _refusal(status) for status in CODES})
    for path, item in document["paths"].items():
        if path.startswith(envelope.PATH + "/"):
            for operation in item.values():
                _describe(operation, EXAMPLES[operation["operationId"]], is_open=path in OPEN_PATHS)


def _describe(operation: Json, example: Example, *, is_open: bool) -> None:
    answer = operation["responses"]["200"]
    bill = () if "application/json" in answer["content"] else (BILL_SHA256,)
    operation["security"] = [{}, {_SCHEME: []}] if is_open else [{_SCHEME: []}]
    operation["responses"] = {
        "200": answer | {"headers": _header_references(*bill)},
        **{status: {"$ref": f"#/components/responses/{_name(status)}"} for status in CODES},
    }
    parameters = [each for each in operation.pop("parameters", []) if each["name"] != "Idempotency-Key"]
    if parameters:
        operation["parameters"] = parameters
    for parameter in parameters:
        parameter["example"] = (example.parameters or {})[parameter["name"]]
    if example.request is not None:
        operation["requestBody"]["content"]["application/json"]["example"] = example.request
    if example.response is not None:
        answer["content"]["application/json"]["example"] = example.response


def _refusal(status: str) -> Json:
    codes = ", ".join(f"`{code}`" for code in CODES[status])
    content: Json = {"schema": {"$ref": "#/components/schemas/MerchantError"}}
    if REFUSAL["code"] in CODES[status]:
        content["example"] = REFUSAL
    return {
        "description": f"{codes}: {_WHY[status]}" if status in _WHY else codes,
        "headers": _header_references(*([_RETRY_AFTER] if status in _MAY_BE_REPEATED else [])),
        "content": {"application/json": content},
    }


def _header_references(*further: str) -> Json:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in (*_HEADERS, *further)}


def _name(status: str) -> str:
    return f"Merchant{status}"
