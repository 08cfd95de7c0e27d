"""The composition root: the command line, the all-in-one process, the embedded database, the demo town.

Only here do the services and the gateway meet in code.
"""
