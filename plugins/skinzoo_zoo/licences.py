"""Licences of pretrained weights."""

KERAS_APPLICATIONS = "Apache-2.0 (Keras Applications); ImageNet itself is for non-commercial research"
FROM_SCRATCH = "Apache-2.0 (skinzoo); no pretrained weights, trained from scratch"
