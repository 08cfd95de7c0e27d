"""Clocks: absolute deadlines on the Chinese calendar. Pure: a time goes in, a time comes out."""
