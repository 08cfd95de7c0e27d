"""The residents' web pages 码上说·马上办: plain HTML made on the server, over the public API of the services."""
