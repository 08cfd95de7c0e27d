"""What every service stands on: settings, database, messages, jobs, crypto, web glue. It knows no domain noun."""
