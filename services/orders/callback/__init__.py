"""回访: what the resident says in the end, and what follows from it; the supervisor's review 复核."""
