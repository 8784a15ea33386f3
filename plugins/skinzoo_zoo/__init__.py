"""skinzoo's built-in parts; each module is an entry point of the group `skinzoo`."""
