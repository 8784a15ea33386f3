"""The recipe of Le et al. (2020)."""

from skinzoo.api import RecipeSpec, Source, hookimpl
from skinzoo_zoo.recipes.augmentation import PAPERS


@hookimpl
def skinzoo_recipes() -> list[RecipeSpec]:
    """Return the recipe."""
    return [
        RecipeSpec(
            name="focal_resnet50",
            title="Class-weighted focal loss on a ResNet50",
            source=Source(
                title="Transfer learning with class-weighted and focal loss function for automatic "
                "skin cancer "
                "classification",
                authors="Le et al. 2020",
                url="arXiv:2009.05977",
            ),
            settings={
                "data": {"protocol": "lesion"},
                "model": {"attention": "none", "fusion": "image_only", "pooling": "gap"},
                "loss": {"name": "weighted_focal", "options": {"gamma": 2.0}},
                "optimizer": {"name": "adam", "learning_rate": 1e-4},
                "schedule": {"name": "plateau", "monitor": "val_loss", "factor": 0.2, "patience": 5},
                "training": {
                    "epochs": 50,
                    "batch_size": 32,
                    "batch_norm": "momentum",
                    "select": "val_balanced_accuracy",
                    "stop_monitor": "val_loss",
                    "patience": 15,
                },
                "augmentation": PAPERS,
            },
            not_stated=(
                "data.protocol",
                "model.attention",
                "model.fusion",
                "model.pooling",
                "loss.options",
                "optimizer.name",
                "optimizer.learning_rate",
                "schedule.name",
                "schedule.monitor",
                "schedule.factor",
                "schedule.patience",
                "training.epochs",
                "training.batch_size",
                "training.batch_norm",
                "training.select",
                "training.stop_monitor",
                "training.patience",
                "augmentation.horizontal_flip",
                "augmentation.vertical_flip",
                "augmentation.rotation",
                "augmentation.shift",
                "augmentation.zoom",
            ),
            notes=(
                "Of the paper's system the class-weighted focal loss is carried out; its ensemble of "
                "modified "
                "ResNet50 is not. The other settings are our choice.",
                "`val_loss` is the unweighted cross-entropy: weights and focusing act on the "
                "training loss alone.",
                "Meant for `resnet50`; any variant takes it.",
            ),
        )
    ]
