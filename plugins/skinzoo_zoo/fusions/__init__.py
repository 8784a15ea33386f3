"""Fusions: how the metadata vector joins the image vector."""

from skinzoo.api import FusionRequest, FusionSpec, Source, hookimpl

_NGUYEN = Source(
    title="Skin lesion classification on imbalanced data using deep learning with soft attention",
    authors="Nguyen et al. 2022",
    url="doi:10.3390/s22197530",
)
_GESSERT = Source(
    title="Skin lesion classification using ensembles of multi-resolution EfficientNets with meta data",
    authors="Gessert et al. 2020",
    url="arXiv:1910.03910",
)


@hookimpl
def skinzoo_fusions() -> list[FusionSpec]:
    """Return the built-in fusions."""

    def wide(**options):
        def build(request: FusionRequest):
            from skinzoo_zoo.fusions.wide import concat_wide

            return concat_wide(request, **options)

        return build

    def mlp(request: FusionRequest):
        from skinzoo_zoo.fusions.mlp import concat_mlp

        return concat_mlp(request)

    def gated(request: FusionRequest):
        from skinzoo_zoo.fusions.modulation import gated

        return gated(request)

    def film(request: FusionRequest):
        from skinzoo_zoo.fusions.modulation import film

        return film(request)

    def image_only(request: FusionRequest):
        return request.image

    return [
        FusionSpec(
            name="concat4096",
            title="Dense 4096 on the metadata, concatenated behind the image vector",
            source=_NGUYEN,
            build=wide(),
        ),
        FusionSpec(
            name="concat4096_bn",
            title="concat4096 with batch normalisation and ReLU before the Dense",
            source=_NGUYEN,
            build=wide(norm_before=True),
        ),
        FusionSpec(
            name="concat4096_2bn",
            title="concat4096 with batch normalisation and ReLU before and behind the Dense",
            source=_NGUYEN,
            build=wide(norm_before=True, norm_behind=True),
        ),
        FusionSpec(
            name="concat4096_dropout",
            title="concat4096 with dropout 0.2 behind the Dense",
            source=_NGUYEN,
            build=wide(dropout=0.2),
        ),
        FusionSpec(
            name="concat4096_dropout0.4",
            title="concat4096 with dropout 0.4 behind the Dense",
            source=_NGUYEN,
            build=wide(dropout=0.4),
        ),
        FusionSpec(
            name="mlp",
            title="Two Dense 256 with batch normalisation and dropout 0.4; properties masked in training",
            source=_GESSERT,
            build=mlp,
            notes=(
                "A masked property becomes what an unknown one is in our encoding; the paper encodes a "
                "missing age as -5 and a missing sex as zeros.",
            ),
        ),
        FusionSpec(
            name="gated",
            title="Gates from the metadata on the image vector, metadata embedding concatenated",
            build=gated,
            notes=("Our choice: an embedding of 64, a sigmoid gate for each image feature.",),
        ),
        FusionSpec(
            name="film",
            title="Scale and shift of the image vector from the metadata",
            source=Source(
                title="FiLM: Visual Reasoning with a General Conditioning Layer",
                authors="Perez et al. 2018",
                url="arXiv:1709.07871",
            ),
            build=film,
            notes=("Applied to the image vector, with an embedding of 64 (our choice).",),
        ),
        FusionSpec(
            name="image_only",
            title="The image vector alone",
            build=image_only,
            uses_metadata=False,
        ),
    ]
