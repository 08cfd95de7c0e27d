"""Households as they change: inviting, joining, leaving, and what the other services are told of them."""
