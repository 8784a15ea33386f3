"""Runs beside each other: what each is worth, what separates it from the best, what it costs."""
