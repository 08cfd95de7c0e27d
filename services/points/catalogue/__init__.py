"""How rewards come into the catalogue and out of it: one administrator writes, another approves, and it is listed."""
