"""The part of the chassis that knows nothing of HTTP frameworks."""
