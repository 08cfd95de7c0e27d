"""Words of the registry of merchants."""

from enum import StrEnum


class MerchantEventKind(StrEnum):
    """What was changed about a merchant."""

    REGISTERED = "registered"
    RENAMED = "renamed"
    SUSPENDED = "suspended"
    RESUMED = "resumed"
    STORE_ADDED = "store_added"
    STORE_RENAMED = "store_renamed"
    STORE_CLOSED = "store_closed"
    STORE_REOPENED = "store_reopened"
    KEY_ADDED = "key_added"
    KEY_REVOKED = "key_revoked"
    CLERK_INVITED = "clerk_invited"
    CLERK_JOINED = "clerk_joined"
    CLERK_REVOKED = "clerk_revoked"


class KeyState(StrEnum):
    """Whether a key may sign."""

    COMING = "coming"  # its time has not come
    LIVE = "live"
    OVER = "over"  # past its time
    REVOKED = "revoked"
