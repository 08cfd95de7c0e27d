"""The edge: the one address that residents, staff and merchants see, in front of the services."""
