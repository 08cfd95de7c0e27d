"""Sign-ups 报名 by household with named members, all or none, and the waitlist 候补."""
