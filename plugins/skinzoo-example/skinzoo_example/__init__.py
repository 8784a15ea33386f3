"""A skinzoo plugin with the backbone and variant `example`."""
