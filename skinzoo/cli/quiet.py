"""Commands that compute call `import_keras` before anything imports Keras."""

from skinzoo.quiet import import_keras

__all__ = ["import_keras"]
