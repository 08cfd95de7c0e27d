"""The end of an account, as far as this service knew whose it was."""
