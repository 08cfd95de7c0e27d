"""People, households, children and their guardians' consents, organisations and posts, and signing in.

Personal data lives here, sealed, and is told to nobody: other services know ids and flags. When it is no longer needed
(an account is deleted, a consent withdrawn, a child fourteen) it is erased, and the ids stay as pseudonyms.
"""
