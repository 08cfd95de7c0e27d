"""Seals 存证: a tree of hashes over each ledger, signed heads of it, receipts and proofs (see docs/seals.md)."""
