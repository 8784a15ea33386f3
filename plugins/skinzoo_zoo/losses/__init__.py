"""Losses between one-hot (or soft) labels and class probabilities; one module a family."""
