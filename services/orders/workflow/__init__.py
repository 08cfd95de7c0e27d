"""The work order from pool to close: the rules of its states, its history, and the call-back."""
