"""FastAPI glue: the only part of the chassis that may import FastAPI."""
