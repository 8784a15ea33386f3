"""The recipes of Nguyen et al. (2022): what the notebooks did, and what the text says."""

from types import MappingProxyType

from skinzoo.api import RecipeSpec, hookimpl
from skinzoo_zoo.published import NGUYEN

_NOTEBOOK_WEIGHTS = MappingProxyType(
    {"akiec": 4.37, "bcc": 2.78, "bkl": 1.3, "df": 12.44, "mel": 1.28, "nv": 0.21, "vasc": 10.0}
)
_OPTIMIZER = MappingProxyType(
    {"name": "adam", "learning_rate": 1e-3, "epsilon": 0.1, "beta_1": 0.9, "beta_2": 0.999}
)


@hookimpl
def skinzoo_recipes() -> list[RecipeSpec]:
    """Return both recipes."""
    return [
        RecipeSpec(
            name="paper",
            title="What the authors' notebooks did",
            source=NGUYEN,
            settings={
                "data": {"protocol": "paper", "resize": "crop", "bgr": True},
                "model": {"attention": "soft_as_coded", "fusion": "concat4096"},
                "loss": {"name": "weighted_ce", "class_weights": _NOTEBOOK_WEIGHTS},
                "optimizer": _OPTIMIZER,
                "schedule": {
                    "name": "plateau",
                    "monitor": "val_loss",
                    "factor": 0.2,
                    "patience": 5,
                    "min_delta": 1e-4,
                    "minimum": 1e-7,
                },
                "training": {
                    "epochs": 500,
                    "batch_size": 10,
                    "batch_norm": "keep",
                    "select": "val_accuracy",
                    "stop_monitor": "val_loss",
                    "patience": 35,
                    "min_delta": 0.001,
                    "validation_batch_size": 32,
                },
            },
            not_stated=(),
            notes=(
                "Images were read in BGR order; `--set data.bgr=false` trains on RGB.",
                "Class weights are those of all 10,015 images as the notebooks print them.",
                "The scored part chooses the checkpoint, and images of one lesion stand on both sides.",
                "`val_loss` is the unweighted cross-entropy, as in the notebooks: class weights act on the "
                "training loss alone.",
                "Betas, the plateau's least change and batch normalisation are Keras' defaults, which the "
                "notebooks leave as they are.",
                "The notebooks' preprocessing differs from the backbone's own for DenseNet201: add "
                "`--set model.preprocess=symmetric`.",
            ),
        ),
        RecipeSpec(
            name="paper_text",
            title="What the paper's text says",
            source=NGUYEN,
            settings={
                "data": {"protocol": "paper", "resize": "squash", "bgr": False},
                "model": {"attention": "soft", "fusion": "concat4096"},
                "loss": {"name": "weighted_ce", "class_weights": "from_counts"},
                "optimizer": _OPTIMIZER,
                "schedule": {
                    "name": "plateau",
                    "monitor": "val_loss",
                    "factor": 0.2,
                    "patience": 5,
                    "min_delta": 1e-4,
                    "minimum": 1e-7,
                },
                "training": {
                    "epochs": 250,
                    "batch_size": 32,
                    "batch_norm": "keep",
                    "select": "val_accuracy",
                    "stop_monitor": "val_accuracy",
                    "patience": 25,
                    "min_delta": 0.0,
                },
            },
            not_stated=(
                "data.protocol",
                "data.resize",
                "data.bgr",
                "optimizer.beta_1",
                "optimizer.beta_2",
                "schedule.monitor",
                "schedule.patience",
                "schedule.min_delta",
                "training.batch_norm",
                "training.select",
                "training.min_delta",
            ),
            notes=(
                "The text names a test part of 857 images that no notebook uses; the split is that "
                "of the notebooks.",
                "The lowest learning rate is printed as 0.1e-6.",
                "`val_loss` is the unweighted cross-entropy: class weights act on the training loss alone.",
            ),
        ),
    ]
