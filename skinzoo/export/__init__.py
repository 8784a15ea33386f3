"""From a run to files that other programs serve."""
