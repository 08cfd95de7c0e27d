"""Children under fourteen, their guardians 监护人, and the consents that these give on their behalf."""
