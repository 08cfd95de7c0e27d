"""Photos: taken in by anybody, cleaned, attached to one case, and seen only by those who may see that case."""
