"""HTTP of signing in."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Annotated

from fastapi import BackgroundTasks, Depends, Request, Response

from chassis.web.auth import ClientAddress
from chassis.web.deps import SessionDep, VaultDep, take_turn
from chassis.web.problems import problems
from chassis.web.router import Router
from services.identity.signin import actions
from services.identity.signin.desk import Desk
from services.identity.signin.errors import (
    CodeInvalid,
    PrivacyNoticeRequired,
    RefreshInvalid,
    RefreshReused,
    TooManyCodes,
    TooManyTries,
)
from services.identity.signin.rules import subject_of
from services.identity.signin.schemas import (
    CodeRequest,
    CodeSent,
    PrivacyNotice,
    PublicKeys,
    RefreshRequest,
    TokenRequest,
    Tokens,
)
from services.identity.signin.senders import deliver
from services.identity.signin.terms import PRIVACY_NOTICE_TEXT, PRIVACY_NOTICE_VERSION

router = Router(prefix="/api/identity", tags=["signing in"])


async def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


DeskDep = Annotated[Desk, Depends(_desk)]


async def _turn(request: Request, address: ClientAddress) -> AsyncIterator[None]:
    async with take_turn(request, request.app.state.turnstile, subject_of(address)):
        yield


TurnDep = Annotated[None, Depends(_turn, scope="function")]
"""One's turn at the counts of one's address: a whole school may sign in from behind a single one."""


async def _no_store(response: Response) -> None:
    response.headers["Cache-Control"] = "no-store"  # RFC 6749, section 5.1


@router.post("/otp", status_code=202, responses=problems(TooManyCodes))
async def send_code(
    request: CodeRequest,
    address: ClientAddress,
    desk: DeskDep,
    turn: TurnDep,
    session: SessionDep,
    vault: VaultDep,
    background: BackgroundTasks,
) -> CodeSent:
    """Send a sign-in code by SMS. The answer is the same whether or not anybody has this phone."""
    lifetime = timedelta(seconds=desk.settings.code_lifetime_seconds)
    issued = await actions.issue_code(
        session,
        vault,
        phone=request.phone,
        address=address,
        limits=desk.limits(address),
        lifetime=lifetime,
        code=desk.demo_code,
    )
    # Once the code is committed and no transaction is open: an SMS provider may take its time.
    background.add_task(deliver, desk.sender, request.phone, issued.code, lifetime)
    return CodeSent(expires_in=desk.settings.code_lifetime_seconds, retry_after=issued.retry_after_seconds)


@router.post(
    "/tokens",
    dependencies=[Depends(_no_store)],
    responses=problems(CodeInvalid, PrivacyNoticeRequired, TooManyTries),
)
async def sign_in(
    request: TokenRequest, address: ClientAddress, desk: DeskDep, turn: TurnDep, session: SessionDep, vault: VaultDep
) -> Tokens:
    """Sign in with the code. A phone that nobody has yet becomes a resident, who accepts the privacy notice first."""
    signed_in = await actions.sign_in(
        session,
        vault,
        request,
        address=address,
        limits=desk.limits(address),
        refresh_lifetime=desk.refresh_lifetime,
    )
    return desk.tokens(signed_in)


@router.post("/tokens/refresh", dependencies=[Depends(_no_store)], responses=problems(RefreshInvalid, RefreshReused))
async def refresh_tokens(request: RefreshRequest, desk: DeskDep, session: SessionDep, vault: VaultDep) -> Tokens:
    """Spend a refresh token for new tokens. One that was spent before ends everything that followed from it.

    Only the one just spent may be repeated, within 30 seconds: the answer names the same successor.
    """
    signed_in = await actions.refresh(
        session,
        vault,
        request.refresh_token,
        repeat_within=timedelta(seconds=desk.settings.refresh_repeat_seconds),
        refresh_lifetime=desk.refresh_lifetime,
    )
    return desk.tokens(signed_in)


@router.post("/tokens/revoke", status_code=204)
async def sign_out(request: RefreshRequest, session: SessionDep, vault: VaultDep) -> None:
    """Sign out: no refresh token of this sign-in is good any more. Access tokens run out within ten minutes."""
    await actions.sign_out(session, vault, request.refresh_token)


@router.get("/.well-known/jwks.json")
async def show_public_keys(desk: DeskDep, response: Response) -> PublicKeys:
    """The public keys of access tokens. The first signs; the others are still, or already, good."""
    response.headers["Cache-Control"] = "public, max-age=300"
    return PublicKeys(keys=[dict(key.as_dict(private=False)) for key in desk.signing_keys])


@router.get("/privacy-notice")
async def show_privacy_notice() -> PrivacyNotice:
    """The privacy notice 隐私告知 that a new resident reads and accepts."""
    return PrivacyNotice(version=PRIVACY_NOTICE_VERSION, text=PRIVACY_NOTICE_TEXT)
