"""The recipes of the Northeastern report: small images, ADASYN, a CNN and two frozen networks."""

from typing import Any

from skinzoo.api import RecipeSpec, hookimpl
from skinzoo_zoo.published import NORTHEASTERN

_SELECTION = {"select": "val_accuracy", "stop_monitor": "val_accuracy"}
_MODEL = {"attention": "none", "fusion": "image_only"}
_BALANCE = {"method": "adasyn", "neighbours": 5}
_OPTIMIZER = {"name": "adam", "learning_rate": 1e-3, "epsilon": 1e-7}
_NOT_STATED = (
    "balance.neighbours",
    "optimizer.epsilon",
    "schedule.name",
    "training.select",
    "training.stop_monitor",
)


@hookimpl
def skinzoo_recipes() -> list[RecipeSpec]:
    """Return the three recipes."""
    return [
        _recipe(
            "northeastern_cnn",
            "The report's CNN: Adam 1e-3, 25 epochs, batch 8, ADASYN on pixels",
            epochs=25,
            training={"batch_size": 8},
            model={"pooling": "flatten", "hidden": (128,)},
            not_stated=("model.pooling", "model.hidden"),
            notes=("Meant for `cnn`; any variant takes it.",),
        ),
        _recipe(
            "northeastern_vgg16_frozen",
            "The report's frozen VGG16: 20 epochs, ADASYN on pixels",
            epochs=20,
            training={"batch_size": 32, "freeze_backbone": True},
            model={"pooling": "flatten"},
            not_stated=(
                "model.pooling",
                "optimizer.name",
                "optimizer.learning_rate",
                "training.batch_size",
            ),
            notes=("Meant for `vgg16_imagenet`; any variant with weights takes it.",),
        ),
        _recipe(
            "northeastern_resnet50_frozen",
            "The report's frozen ResNet50, ADASYN on pixels",
            epochs=20,
            training={"batch_size": 32, "freeze_backbone": True},
            model={"pooling": "flatten"},
            not_stated=(
                "model.pooling",
                "optimizer.name",
                "optimizer.learning_rate",
                "training.epochs",
                "training.batch_size",
            ),
            notes=("Meant for `resnet50`; any variant with weights takes it.",),
        ),
    ]


def _recipe(
    name: str,
    title: str,
    *,
    epochs: int,
    training: dict[str, Any],
    model: dict[str, Any],
    not_stated: tuple[str, ...],
    notes: tuple[str, ...],
) -> RecipeSpec:
    return RecipeSpec(
        name=name,
        title=title,
        source=NORTHEASTERN,
        settings={
            "data": {"protocol": "northeastern", "resize": "squash"},
            "model": {**_MODEL, "image_size": 32, **model},
            "loss": {"name": "ce"},
            "optimizer": _OPTIMIZER,
            "schedule": {"name": "constant"},
            "training": {"epochs": epochs, **training, **_SELECTION},
            "balance": _BALANCE,
        },
        not_stated=(*_NOT_STATED, *not_stated, "data.resize", "loss.name"),
        notes=(
            "Images of 32 pixels, 80/20 at image level, ADASYN on flattened pixels of the training part.",
            "No early stopping and no metadata.",
            *notes,
        ),
    )
