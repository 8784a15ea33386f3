"""The recipe of Datta et al. (2021)."""

from types import MappingProxyType

from skinzoo.api import RecipeSpec, hookimpl
from skinzoo_zoo.published import DATTA
from skinzoo_zoo.recipes.augmentation import PAPERS

_WEIGHTS = MappingProxyType(
    {"akiec": 1.0, "bcc": 1.0, "bkl": 1.0, "df": 1.0, "mel": 5.0, "nv": 1.0, "vasc": 1.0}
)


@hookimpl
def skinzoo_recipes() -> list[RecipeSpec]:
    """Return the recipe."""
    return [
        RecipeSpec(
            name="datta",
            title="Soft-Attention without metadata, melanoma weighted by 5, classes filled up to 8,000",
            source=DATTA,
            settings={
                "data": {"protocol": "datta", "resize": "squash"},
                "model": {"attention": "soft_as_coded", "fusion": "image_only", "preprocess": "symmetric"},
                "loss": {"name": "weighted_ce", "class_weights": _WEIGHTS},
                "optimizer": {
                    "name": "adam",
                    "learning_rate": 0.01,
                    "epsilon": 0.1,
                    "beta_1": 0.9,
                    "beta_2": 0.999,
                },
                "schedule": {"name": "constant"},
                "training": {
                    "epochs": 150,
                    "batch_size": 16,
                    "steps_per_epoch": 919,
                    "batch_norm": "keep",
                    "select": "val_accuracy",
                    "stop_monitor": "val_loss",
                    "patience": 35,
                    "min_delta": 0.001,
                },
                "balance": {"method": "oversample", "per_class": 8000},
                "augmentation": PAPERS,
            },
            not_stated=("optimizer.beta_1", "optimizer.beta_2", "training.batch_norm"),
            notes=(
                "The checkpoint is chosen on the test part; `--set "
                "data.protocol_options.validation=0.1` is the "
                "honest way.",
                "Epochs and patience are those of DenseNet201; InceptionResNetV2 30, ResNet50 300 "
                "and 40, ResNet34 "
                "and VGG16 300 and 65.",
                "The code scales pixels to -1..1 for every model, the text says 0..1; it resizes by nearest "
                "neighbour, we resize bilinearly.",
                "The authors wrote augmented files once; here images are repeated and augmented on the fly.",
                "The authors' ResNet50 needs `--pooling gap`, their NASNetMobile "
                "`--cut separable_conv_1_bn_normal_left5_12`.",
                "`val_loss` is the unweighted cross-entropy: class weights act on the training loss alone.",
                "919 steps are a tenth of the 9,187 training images of the 15 percent split.",
            ),
        )
    ]
