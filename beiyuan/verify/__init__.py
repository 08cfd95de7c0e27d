"""Checks what the ledgers hand out, offline, trusting the public key alone: exports, receipts, consistency of heads.

It imports nothing of the services, nor anything else of this product, so that whoever checks them need not run them:
Python and `cryptography` are all that it takes. This folder can be copied and run by itself:

    python -m beiyuan.verify EXPORT.jsonl --key KEYS.txt --heads civic.jsonl

What is checked, and against which published formats, is written in docs/seals.md.
"""
