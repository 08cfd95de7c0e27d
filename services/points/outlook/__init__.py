"""What a household could get for its points, and what it is about to lose."""
