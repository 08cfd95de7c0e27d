"""`python -m beiyuan`."""

from beiyuan.cli import app

app()
