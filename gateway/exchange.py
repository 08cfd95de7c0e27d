"""One request on its way through the edge: its body counted, its time bounded, its client watched.

Time has three parts, each with its own bound: the body must come in (408), the service must begin to answer (504),
the answer must be through. Whatever ends an exchange early cancels the service's work on it in the same way.
"""

import asyncio
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.errors import AnswerTooSlow, BodyTooLarge, BodyTooSlow, ClientGone

_LOOK_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Allowance:
    """How much and how long: bytes of the body; seconds for the body, to begin to answer, and for the answer."""

    body_bytes: int
    body_seconds: float
    answer_seconds: float
    transfer_seconds: float


class Exchange:
    """Stands between the client and whoever answers it (`app` below)."""

    def __init__(self, receive: Receive, send: Send, allowance: Allowance, *, has_body: bool) -> None:
        self._client_receive = receive
        self._client_send = send
        self._allowance = allowance
        self._has_body = has_body
        self._received_bytes = 0
        self._body_complete = asyncio.Event()
        self._gone = asyncio.Event()
        self._stopped: Exception | None = None
        self._loop = asyncio.get_running_loop()
        self._task = _current_task()
        self._deadline = 0.0
        self._watcher: asyncio.Task[None] | None = None
        self.started = False
        self.finished = False

    async def run(self, app: ASGIApp, scope: Scope) -> None:
        """Let `app` answer. Raises BodyTooLarge, BodyTooSlow, AnswerTooSlow, ClientGone, and what `app` raises."""
        cancelled_before = self._task.cancelling()
        self._allow(self._allowance.body_seconds if self._has_body else self._allowance.answer_seconds)
        self._look_again()
        try:
            await app(scope, self.receive, self.send)
        except asyncio.CancelledError:
            if self._stopped is None or self._task.cancelling() > cancelled_before + 1:
                raise  # it is not, or not only, we who asked for it
        except Exception:
            if self._stopped is None:
                raise  # otherwise it is only what the cancellation made of it
        finally:
            self._next.cancel()
            if self._watcher is not None:
                self._watcher.cancel()
        if self._stopped is not None:
            if self._task.cancelling() > cancelled_before:
                self._task.uncancel()
            raise self._stopped

    async def receive(self) -> Message:
        """The next piece of the request, for `app`."""
        if self._body_complete.is_set():
            await self._gone.wait()
            return {"type": "http.disconnect"}
        if not self._has_body:
            self._body_complete.set()
            return {"type": "http.request", "body": b"", "more_body": False}
        message = await self._client_receive()
        if message["type"] == "http.disconnect":
            self._stop(ClientGone())
            return message
        self._received_bytes += len(message.get("body", b""))
        if self._received_bytes > self._allowance.body_bytes:
            self._stop(BodyTooLarge(self._allowance.body_bytes))
            await asyncio.Future()  # until the cancellation that was just asked for
        if not message.get("more_body", False):
            self._body_complete.set()
            if not self.started:
                self._allow(self._allowance.answer_seconds)
        return message

    async def send(self, message: Message) -> None:
        """The next piece of the answer, from `app`."""
        if self._stopped is not None:
            return  # what an application says while it is being cancelled is not its answer
        if message["type"] == "http.response.start":
            self.started = True
            self._allow(self._allowance.transfer_seconds)
        elif not message.get("more_body", False):
            self.finished = True  # what an application does after its answer is its own affair
        await self._client_send(message)

    def _allow(self, seconds: float) -> None:
        self._deadline = self._loop.time() + seconds

    def _look_again(self) -> None:
        """Come back soon, or at the deadline. Most exchanges are over before the first look, and cost no more."""
        left = max(0.0, self._deadline - self._loop.time())
        self._next: asyncio.Handle = self._loop.call_later(min(left, _LOOK_SECONDS), self._look_after)

    def _look_after(self) -> None:
        """Stop what is over its time; from the first look on, notice when the client hangs up."""
        if self.finished or self._stopped is not None:
            return
        if self._loop.time() >= self._deadline:
            waited_for_body = self._has_body and not self._body_complete.is_set() and not self.started
            self._stop(BodyTooSlow() if waited_for_body else AnswerTooSlow())
            return
        if self._watcher is None:
            self._watcher = self._loop.create_task(self._watch())
        self._look_again()

    async def _watch(self) -> None:
        if self._has_body:
            await self._body_complete.wait()
        while (await self._client_receive())["type"] != "http.disconnect":
            pass
        self._gone.set()
        if not self.finished:
            self._stop(ClientGone())

    def _stop(self, reason: Exception) -> None:
        if self._stopped is None and not self.finished:
            self._stopped = reason
            self._next.cancel()
            # Not at once: it may be this very task that we are in, and it may end before.
            self._next = self._loop.call_soon(self._task.cancel)


def _current_task() -> asyncio.Task[object]:
    task = asyncio.current_task()
    assert task is not None
    return task
