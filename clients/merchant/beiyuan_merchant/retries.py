"""When to repeat, and for how long."""

import random
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a till may wait for an answer: `seconds` altogether, `attempt_seconds` for one attempt.

    Between attempts the pause doubles from half a second up to five, or is what the platform asks for (Retry-After).
    """

    seconds: float = 30.0
    attempt_seconds: float = 8.0

    def pauses(self) -> Iterator[float]:
        """Pauses between attempts, without end; a little uneven, so that many tills do not come back at once."""
        pause = 0.5
        while True:
            yield pause * random.uniform(0.8, 1.2)  # noqa: S311  # no secret
            pause = min(pause * 2, 5.0)


def is_worth_repeating(status: int, code: str) -> bool:
    """Whether a signed answer says that nothing is decided yet: the same number is to be sent again.

    A request whose nonce was known already is signed anew; it was, most likely, sent twice on the way.
    """
    return status == 429 or status >= 500 or code in {"REQUEST_IN_PROGRESS", "NONCE_REUSED"}
