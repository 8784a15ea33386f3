"""The whole chain on drawn images, from data to answered cases, by the commands that a user types."""

from skinzoo.demo.chain import Demo, Step

__all__ = ["Demo", "Step"]
