"""The recipes of variants that name no other: `default`, and `scratch` for networks without weights."""

from skinzoo.api import RecipeSpec, hookimpl
from skinzoo_zoo.recipes.augmentation import PAPERS


@hookimpl
def skinzoo_recipes() -> list[RecipeSpec]:
    """Return both recipes."""
    return [
        RecipeSpec(
            name="default",
            title="Fine-tuning the whole network with moderate class weights, chosen by balanced accuracy",
            settings={
                "data": {"protocol": "lesion", "resize": "squash"},
                "model": {"cut": "whole", "pooling": "gap", "fusion": "mlp"},
                "loss": {"name": "weighted_ce", "options": {"power": 0.5}},
                "optimizer": {"name": "adamw", "learning_rate": 3e-4, "weight_decay": 1e-4, "clip_norm": 1.0},
                "schedule": {"name": "cosine", "warmup_epochs": 1.0, "final_fraction": 0.01},
                "training": {
                    "epochs": 12,
                    "batch_size": 32,
                    "head_epochs": 1,
                    "small_epochs": 6,
                    "head_learning_rate": 1e-3,
                    "batch_norm": "momentum",
                    "batch_norm_momentum": 0.9,
                    "select": "val_balanced_accuracy",
                    "stop_monitor": "val_balanced_accuracy",
                    "patience": 8,
                },
                "augmentation": {
                    "horizontal_flip": True,
                    "vertical_flip": True,
                    "quarter_turns": True,
                    "shift": 0.05,
                    "zoom": 0.1,
                },
            },
            notes=(
                "The backbone ends where its ImageNet features end, not at the papers' cut, which leaves out "
                "the last blocks of most; docs/training.md says what was measured, and what not.",
                "Class weights are the square root of N / (C N_c): full weights cost accuracy on nv.",
                "The first half of the epochs sees smaller images, where the pooling is `gap`: a step goes "
                "through about a third of the pixels.",
                "Quarter turns invent no pixels, unlike rotations by any angle.",
                "Momentum 0.9 in the backbone's batch normalisation lets its statistics follow fine-tuning "
                "within some ten steps; Keras' MobileNets carry 0.99 to 0.999.",
            ),
        ),
        RecipeSpec(
            name="scratch",
            title="Small networks from random weights: higher learning rate, more epochs, more patience",
            settings={
                "data": {"protocol": "lesion", "resize": "squash"},
                "loss": {"name": "weighted_ce", "options": {"power": 0.5}},
                "optimizer": {"name": "adamw", "learning_rate": 3e-3, "weight_decay": 1e-4, "clip_norm": 1.0},
                "schedule": {"name": "cosine", "warmup_epochs": 1.0, "final_fraction": 0.01},
                "training": {
                    "epochs": 60,
                    "batch_size": 32,
                    "select": "val_balanced_accuracy",
                    "stop_monitor": "val_balanced_accuracy",
                    "patience": 30,
                },
                "augmentation": PAPERS,
            },
            notes=(
                "Differs from `default` where a network has nothing to keep: ten times its learning rate, no "
                "epochs of the head alone, batch normalisation as it is.",
                "The scores of a network without weights stay at chance for the first epochs, hence the "
                "patience.",
            ),
        ),
    ]
