"""Bounds of households and their invitations."""

from datetime import timedelta

MAX_MEMBERS = 20
"""Members of a household, children included."""

INVITATION_LIFETIME = timedelta(days=3)
MAX_OPEN_INVITATIONS = 5
MAX_INVITATIONS_A_DAY = 20
"""Invitations of one household in any 24 hours, used and revoked ones included."""

KEEP_INVITATIONS = timedelta(days=30)
"""How long an invitation that is past is kept for whoever asks who joined by it."""

CODE_ALPHABET = "34679ACDEFGHJKMNPQRTUVWXY"
"""Letters and digits that nobody takes for another: without 0 and O, 1, I and L, 2 and Z, 5 and S, 8 and B."""

CODE_LENGTH = 8
