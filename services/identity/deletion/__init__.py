"""The end of an account: what is personal is erased, what others rely on stays under the person's id."""
