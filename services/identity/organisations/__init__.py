"""Organisations on the four levels 四级, and the posts that people hold in them."""
