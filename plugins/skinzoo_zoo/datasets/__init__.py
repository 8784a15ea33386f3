"""Readers of datasets; what they share is `skinzoo.data.layout`."""
