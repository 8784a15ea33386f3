"""Explanations: where a model looks, which pixels matter to it, and whether that is the lesion."""
