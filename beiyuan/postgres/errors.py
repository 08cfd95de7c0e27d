"""The one error that leaves this package."""


class PostgresError(Exception):
    """The embedded database cannot be used; the text says why, and what to do, in words for everybody."""


def last_words(output: bytes) -> str:
    """The end of what a PostgreSQL program said, for an error's text, with what mostly helps."""
    lines = output.decode(errors="replace").strip().splitlines()[-12:]
    words = "\n".join(f"  | {line}" for line in lines)
    return (
        f"Its last words:\n{words}\n"
        "If they speak of space, make room on the disk; "
        "if of permission, set BEIYUAN_HOME to a folder of yours on a local disk."
    )
