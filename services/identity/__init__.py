"""People, households, organisations and posts, and signing in. Personal data lives here and nowhere else."""
