"""The recipe of Gessert et al. (2020), for any variant."""

from skinzoo.api import RecipeSpec, Source, hookimpl


@hookimpl
def skinzoo_recipes() -> list[RecipeSpec]:
    """Return the recipe."""
    return [
        RecipeSpec(
            name="gessert",
            title="Colour constancy, metadata by MLP, loss weighted by inverse shares, CutOut",
            source=Source(
                title="Skin lesion classification using ensembles of multi-resolution EfficientNets "
                "with meta data",
                authors="Gessert et al. 2020",
                url="doi:10.1016/j.mex.2020.100864",
            ),
            settings={
                "data": {"protocol": "lesion", "resize": "crop", "preprocessing": ("shades_of_gray",)},
                "model": {
                    "attention": "none",
                    "fusion": "mlp",
                    "pooling": "gap",
                    "hidden": (1024,),
                    "dropout": 0.4,
                },
                "loss": {"name": "inverse_share_ce", "options": {"power": 1.0}},
                "optimizer": {"name": "adam", "learning_rate": 1e-4},
                "schedule": {"name": "steps", "factor": 0.5, "start": 25, "every": 25},
                "training": {
                    "epochs": 100,
                    "batch_size": 20,
                    "batch_norm": "momentum",
                    "select": "val_balanced_accuracy",
                },
                "augmentation": {
                    "horizontal_flip": True,
                    "vertical_flip": True,
                    "rotation": 180.0,
                    "zoom": 0.1,
                    "cutout_holes": 1,
                    "cutout": 16,
                },
            },
            not_stated=(
                "data.protocol",
                "data.resize",
                "model.attention",
                "model.dropout",
                "optimizer.learning_rate",
                "training.batch_size",
                "training.batch_norm",
                "training.select",
                "augmentation.horizontal_flip",
                "augmentation.vertical_flip",
                "augmentation.rotation",
                "augmentation.zoom",
            ),
            notes=(
                "The paper trains the network first and then, frozen, metadata and head for 50 "
                "epochs at 1e-5 with "
                "batches of 20; here both are trained together, with that batch.",
                "It crops away black borders and scales the longer side to 600 first; here images are only "
                "cropped to squares and resized.",
                "Its random crops, crops at test time, ensembles and batch normalisation in the head are not "
                "carried out.",
            ),
        )
    ]
