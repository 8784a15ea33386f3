"""Names inside an export: signatures, their inputs and outputs, extra files. Free of TensorFlow."""

SERVING, IMAGE_ONLY, TENSORS = "serving_default", "image_only", "tensors"
DECODE, EXPLAIN, FEATURES, CLASSIFY = "decode", "explain", "features", "classify"

IMAGE_BYTES, IMAGE = "image_bytes", "image"
AGE, SEX, LOCALIZATION = "age", "sex", "localization"
METADATA = (AGE, SEX, LOCALIZATION)

PROBABILITIES, CLASSES, PREDICTED_CLASS = "probabilities", "classes", "predicted_class"
CALIBRATED, ABSTAIN = "calibrated", "abstain"
ATTENTION, FUSED = "attention", "features"
# What TensorFlow Serving's Classify call needs.
EXAMPLES, SCORES = "inputs", "scores"

SAVED_MODEL_FILE = "saved_model.pb"
EXTRA_FOLDER = "assets.extra"
WARMUP_FILE = "tf_serving_warmup_requests"
CARD_FILE = "skinzoo_card.json"
GOLDEN_FILE = "skinzoo_golden.json"
