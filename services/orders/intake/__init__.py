"""How a report comes in (码上说): the taxonomy, the reporter's words and photos, and the private link to follow it."""
