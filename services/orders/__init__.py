"""Orders (接诉即办): what residents report, who handles it, by when, and what the resident says in the end."""
