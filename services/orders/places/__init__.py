"""Where things happen and who is responsible there: units of the four levels, places, and their QR codes."""
