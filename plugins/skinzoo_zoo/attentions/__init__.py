"""Attentions: layers on the feature map."""

from skinzoo.api import AttentionSpec, Source, hookimpl

_DATTA = Source(
    title="Soft-Attention Improves Skin Cancer Classification Performance",
    authors="Datta et al. 2021",
    url="arXiv:2105.03358",
)


@hookimpl
def skinzoo_attentions() -> list[AttentionSpec]:
    """Return the built-in attentions."""

    def soft():
        from skinzoo_zoo.attentions.soft import SoftAttention

        return SoftAttention()

    def soft_as_coded():
        from skinzoo_zoo.attentions.soft_as_coded import SoftAttentionAsCoded

        return SoftAttentionAsCoded()

    def none():
        from skinzoo_zoo.attentions.none import NoAttention

        return NoAttention()

    def se():
        from skinzoo_zoo.attentions.squeeze_excite import SqueezeExcite

        return SqueezeExcite()

    def cbam():
        from skinzoo_zoo.attentions.cbam import CBAM

        return CBAM()

    return [
        AttentionSpec(
            name="soft",
            title="Soft-Attention as the papers describe it: 16 heads over all channels, learnable gamma",
            source=_DATTA,
            build=soft,
        ),
        AttentionSpec(
            name="soft_as_coded",
            title="Soft-Attention as the authors' code computes it: sees channels 0, 1 and 2, no gamma",
            source=_DATTA,
            build=soft_as_coded,
            notes=(
                "The published code orders the axes of its 3-D convolution so that only the first three "
                "channels and 2h - 1 kernel rows can meet data; the other weights are counted, never used.",
            ),
        ),
        AttentionSpec(
            name="none",
            title="No attention: ReLU and dropout on the feature map",
            source=_DATTA,
            build=none,
            spatial=False,
            pooled_concat=False,
        ),
        AttentionSpec(
            name="se",
            title="Squeeze-and-excitation: a gate for each channel",
            source=Source(
                title="Squeeze-and-Excitation Networks", authors="Hu et al. 2018", url="arXiv:1709.01507"
            ),
            build=se,
            notes=(
                "The gates know no places; the map shown is the gate-weighted mean of the channels.",
                "Reduction 16 as in the paper, at least 4 units.",
            ),
            spatial=False,
        ),
        AttentionSpec(
            name="cbam",
            title="Convolutional block attention: channel gates, then a spatial gate",
            source=Source(
                title="CBAM: Convolutional Block Attention Module",
                authors="Woo et al. 2018",
                url="arXiv:1807.06521",
            ),
            build=cbam,
            notes=("Reduction 16 and a 7x7 spatial kernel as in the paper, at least 4 units.",),
        ),
    ]
