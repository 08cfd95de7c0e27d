"""`beiyuan-merchant`: the merchant API from a terminal.

Where it is and who asks is read from the environment: BEIYUAN_MERCHANT_URL, BEIYUAN_MERCHANT_MCHID,
BEIYUAN_MERCHANT_SERIAL, BEIYUAN_MERCHANT_KEY (the private key's file), BEIYUAN_MERCHANT_STORE.
Ends with 0 for a yes, 1 for a certain no, 2 where it was called wrongly, 3 where the outcome is unknown.
"""

import argparse
import json
import os
import secrets
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from beiyuan_merchant.client import Client
from beiyuan_merchant.errors import Error, OutcomeUnknown, Refused
from beiyuan_merchant.signing import Key


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and print its answer as JSON; what goes wrong is told on standard error."""
    asked = _parser().parse_args(arguments)
    try:
        with _client() as client:
            _print(asked.run(client, asked))
    except Refused as no:
        _print({"code": no.code, "message": no.message, "detail": no.detail, "request_id": no.request_id})
        return 1
    except OutcomeUnknown as unknown:
        _say(f"结果未知 outcome unknown: {unknown.reason}")
        if number := getattr(asked, "number", None):
            _say(f"请用同一单号查询或重试 ask or repeat under the same number: request {asked.command} {number}")
        return 3
    except (Error, OSError) as error:
        _say(str(error))
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="beiyuan-merchant", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, words: str, run: Callable[[Client, Any], Any]) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=words, description=words)
        added.set_defaults(run=run)
        return added

    command("echo", "验签自检: prove both signatures", lambda client, asked: client.echo("你好"))
    one = command("sandbox", "沙箱券: a coupon to try with, or the present code of one", _sandbox)
    one.add_argument("coupon_id", nargs="?", help="of one that is there already")
    one = command("prepare", "核销准备: what a code is", lambda c, a: c.prepare(a.code, store_id=_store()))
    one.add_argument("code")
    one = command("lock", "锁定: keep a coupon for a while", _lock)
    one.add_argument("code")
    _with_number(one)
    one = command("unlock", "解锁: give it back", _unlock)
    one.add_argument("coupon_id")
    _with_number(one)
    one = command("use", "核销: redeem a coupon", _use)
    one.add_argument("code")
    one.add_argument("--trade-no", help="your receipt's number 商户订单号")
    one.add_argument("--use-time", type=datetime.fromisoformat, help="for repeating: the one that was printed")
    _with_number(one)
    one = command("return", "退回: undo a use", _return)
    one.add_argument("coupon_id")
    one.add_argument("use_no")
    _with_number(one)
    one = command("coupon", "查询券: a coupon's state", lambda c, a: c.coupon(a.coupon_id))
    one.add_argument("coupon_id")
    one = command("request", "查询请求结果", lambda c, a: c.request(a.operation, a.asked_number))
    one.add_argument("operation", choices=["use", "lock", "unlock", "return"])
    one.add_argument("asked_number", metavar="number")
    one = command("bill", "日账单: save a day's bill", _bill)
    one.add_argument("bill_date", type=date.fromisoformat)
    one.add_argument("file", type=Path)
    return parser


def _with_number(command: argparse.ArgumentParser) -> None:
    command.add_argument("--number", default=_new_number(), help="out_request_no 商户请求单号; a fresh one by default")


def _new_number() -> str:
    return f"R{datetime.now(UTC):%Y%m%d%H%M%S}-{secrets.token_hex(4)}"


def _sandbox(client: Client, asked: argparse.Namespace) -> Any:
    return client.sandbox_coupon(asked.coupon_id) if asked.coupon_id else client.issue_sandbox_coupon()


def _lock(client: Client, asked: argparse.Namespace) -> Any:
    return client.lock(asked.code, store_id=_store(), out_request_no=asked.number)


def _unlock(client: Client, asked: argparse.Namespace) -> Any:
    return client.unlock(asked.coupon_id, store_id=_store(), out_request_no=asked.number)


def _use(client: Client, asked: argparse.Namespace) -> Any:
    at = asked.use_time or datetime.now(UTC)
    _say(f"number {asked.number}, use-time {at.isoformat(timespec='seconds')}")  # before it is sent: to repeat it by
    return client.use(
        asked.code, store_id=_store(), out_request_no=asked.number, out_trade_no=asked.trade_no, use_time=at
    )


def _return(client: Client, asked: argparse.Namespace) -> Any:
    return client.return_use(asked.coupon_id, asked.use_no, store_id=_store(), out_request_no=asked.number)


def _bill(client: Client, asked: argparse.Namespace) -> Any:
    bill = client.daily_bill(asked.bill_date)
    asked.file.write_bytes(bill.csv)
    return {"file": str(asked.file), "sha256": bill.sha256, "lines": bill.csv.count(b"\n")}


def _client() -> Client:
    key = Key.load(_variable("KEY"), serial_no=_variable("SERIAL"))
    return Client(_variable("URL"), mchid=_variable("MCHID"), key=key)


def _store() -> str:
    return _variable("STORE")


def _variable(name: str) -> str:
    value = os.environ.get(f"BEIYUAN_MERCHANT_{name}")
    if not value:
        raise Error(f"BEIYUAN_MERCHANT_{name} is not set")
    return value


def _print(answer: Any) -> None:
    if isinstance(answer, BaseModel):
        answer = answer.model_dump(mode="json")
    sys.stdout.write(json.dumps(answer, ensure_ascii=False, indent=2) + "\n")


def _say(words: str) -> None:
    sys.stderr.write(words + "\n")


if __name__ == "__main__":
    sys.exit(main())
