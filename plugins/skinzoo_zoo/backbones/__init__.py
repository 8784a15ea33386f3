"""Backbones and their Soft-Attention variants: one module, one entry point each."""
