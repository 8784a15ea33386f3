"""From a variant to a Keras model: preprocessing, metadata encoder, assembly, weights and figures."""

# ruff: noqa: E402
from skinzoo.quiet import import_keras

# What follows imports Keras, for whoever uses the Python interface too.
import_keras()

from skinzoo.model.assembly import (
    attention_model,
    build_model,
    create_model,
    feature_map,
    metadata_encoder,
)
from skinzoo.model.description import ModelDescription, count_parameters, describe_model
from skinzoo.model.ensemble import ensemble_model
from skinzoo.model.resized import at_size
from skinzoo.model.saving import load_model
from skinzoo.model.weights import WeightReport
from skinzoo.variants import ResolvedVariant, resolve_variant

__all__ = [
    "ModelDescription",
    "ResolvedVariant",
    "WeightReport",
    "at_size",
    "attention_model",
    "build_model",
    "count_parameters",
    "create_model",
    "describe_model",
    "ensemble_model",
    "feature_map",
    "load_model",
    "metadata_encoder",
    "resolve_variant",
]
