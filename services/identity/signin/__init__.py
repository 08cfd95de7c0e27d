"""Signing in with a code by SMS, access tokens, and the refresh families behind them."""
