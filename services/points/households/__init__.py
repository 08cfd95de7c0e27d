"""What this service knows of households: ids alone, as identity told it last."""
