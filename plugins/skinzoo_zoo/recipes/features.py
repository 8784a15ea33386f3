"""Recipes on features of a backbone that are computed once."""

from skinzoo.api import RecipeSpec, hookimpl
from skinzoo_zoo.recipes.augmentation import PAPERS

SHORT_EPOCHS = (
    "An epoch shows 2,048 cases, a quarter of HAM10000's training part, so that the first scores come while "
    "features are still being computed."
)


@hookimpl
def skinzoo_recipes() -> list[RecipeSpec]:
    """Return both recipes."""
    selection = {
        "select": "val_balanced_accuracy",
        "stop_monitor": "val_balanced_accuracy",
        "patience": 60,
    }
    return [
        RecipeSpec(
            name="frozen",
            title="Backbone features computed once; attention, fusion and head trained on them",
            settings={
                "data": {"protocol": "lesion", "resize": "squash"},
                "loss": {"name": "weighted_ce", "options": {"power": 0.5}},
                "optimizer": {"name": "adamw", "learning_rate": 1e-3, "weight_decay": 1e-4, "clip_norm": 1.0},
                "schedule": {"name": "cosine", "warmup_epochs": 1.0},
                "training": {
                    "method": "frozen",
                    "epochs": 160,
                    "steps_per_epoch": 32,
                    "batch_size": 64,
                    "views": 4,
                    **selection,
                },
                "augmentation": PAPERS,
            },
            notes=(SHORT_EPOCHS, "Each pass draws one of the cached views of each image at random."),
        ),
        RecipeSpec(
            name="linear",
            title="Logistic regression on pooled backbone features",
            settings={
                "data": {"protocol": "lesion", "resize": "squash"},
                "model": {
                    "attention": "none",
                    "fusion": "image_only",
                    "pooling": "gap",
                    "hidden": (),
                },
                "loss": {"name": "weighted_ce", "options": {"power": 0.5}},
                "optimizer": {"name": "adamw", "learning_rate": 1e-2, "weight_decay": 1e-4},
                "schedule": {"name": "cosine", "warmup_epochs": 4.0},
                "training": {
                    "method": "linear",
                    "epochs": 240,
                    "steps_per_epoch": 8,
                    "batch_size": 256,
                    "views": 4,
                    **selection,
                },
                "augmentation": PAPERS,
            },
            notes=(
                SHORT_EPOCHS,
                "The cached features are the vector that the head sees: no dropout acts on it.",
            ),
        ),
    ]
