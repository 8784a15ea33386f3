"""Recipes: training settings as data; one module a source."""
