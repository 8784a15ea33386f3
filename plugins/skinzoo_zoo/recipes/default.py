"""The recipe that is used unless another is asked for."""

from skinzoo.api import RecipeSpec, hookimpl
from skinzoo_zoo.recipes.augmentation import PAPERS


@hookimpl
def skinzoo_recipes() -> list[RecipeSpec]:
    """Return the default recipe."""
    return [
        RecipeSpec(
            name="default",
            title="Fine-tuning with moderate class weights, chosen by balanced accuracy on whole lesions",
            settings={
                "data": {"protocol": "lesion", "resize": "squash"},
                "loss": {"name": "weighted_ce", "options": {"power": 0.5}},
                "optimizer": {"name": "adamw", "learning_rate": 3e-4, "weight_decay": 1e-4, "clip_norm": 1.0},
                "schedule": {"name": "cosine", "warmup_epochs": 1.0, "final_fraction": 0.01},
                "training": {
                    "epochs": 20,
                    "batch_size": 32,
                    "head_epochs": 1,
                    "head_learning_rate": 1e-3,
                    "batch_norm": "momentum",
                    "batch_norm_momentum": 0.9,
                    "select": "val_balanced_accuracy",
                    "stop_monitor": "val_balanced_accuracy",
                    "patience": 8,
                },
                "augmentation": PAPERS,
            },
            notes=(
                "Class weights are the square root of N / (C N_c): full weights cost accuracy on nv.",
                "Momentum 0.9 in the backbone's batch normalisation lets its statistics follow fine-tuning "
                "within some ten steps; Keras' MobileNets carry 0.99 to 0.999.",
            ),
        )
    ]
