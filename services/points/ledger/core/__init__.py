"""The ledger's rules as one pure function: what is, and what is asked, give the rows to write and a result for each.

No I/O, no clock, no SQL: `run` is what the database's batches, the simulations and the worked examples all go through.
"""
