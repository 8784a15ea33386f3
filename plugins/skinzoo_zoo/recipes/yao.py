"""The recipe of Yao et al. (2022), for any variant."""

from skinzoo.api import RecipeSpec, Source, hookimpl


@hookimpl
def skinzoo_recipes() -> list[RecipeSpec]:
    """Return the recipe."""
    return [
        RecipeSpec(
            name="yao",
            title="Multi-weighted loss, cumulative learning and RandAugment",
            source=Source(
                title="Single Model Deep Learning on Imbalanced Small Datasets for Skin Lesion "
                "Classification",
                authors="Yao et al. 2022",
                url="arXiv:2102.01284",
            ),
            settings={
                "data": {"protocol": "lesion", "resize": "squash"},
                "model": {"attention": "none", "fusion": "image_only", "pooling": "gap"},
                "loss": {
                    "name": "mwnl",
                    "options": {
                        "gamma": 2.0,
                        "threshold": 0.1,
                        "alpha": 1.1,
                        "start_epoch": 20,
                        "end_epoch": 60,
                    },
                },
                "optimizer": {"name": "adam", "learning_rate": 1e-3},
                "schedule": {"name": "steps", "factor": 0.1, "start": 30, "every": 10},
                "training": {
                    "epochs": 70,
                    "batch_size": 128,
                    "batch_norm": "momentum",
                    "select": "val_balanced_accuracy",
                },
                "augmentation": {"randaugment": 2, "randaugment_magnitude": 0.5},
            },
            not_stated=(
                "data.protocol",
                "data.resize",
                "model.attention",
                "model.fusion",
                "model.pooling",
                "training.batch_norm",
                "training.select",
                "augmentation.randaugment",
                "augmentation.randaugment_magnitude",
            ),
            notes=(
                "Its alternating colour and shape operations, random crops, DropBlock and crops at "
                "test time are "
                "not carried out.",
                "The training loss changes its scale with the epoch; the best epoch is chosen by balanced "
                "accuracy.",
            ),
        )
    ]
