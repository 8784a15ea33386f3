"""Papers of the backbones."""

from skinzoo.api import Source

RESNET = Source(
    title="Deep Residual Learning for Image Recognition", authors="He et al. 2016", url="arXiv:1512.03385"
)
INCEPTION_RESNET = Source(
    title="Inception-v4, Inception-ResNet and the Impact of Residual Connections on Learning",
    authors="Szegedy et al. 2017",
    url="arXiv:1602.07261",
)
DENSENET = Source(
    title="Densely Connected Convolutional Networks", authors="Huang et al. 2017", url="arXiv:1608.06993"
)
MOBILENET = Source(
    title="MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications",
    authors="Howard et al. 2017",
    url="arXiv:1704.04861",
)
MOBILENETV2 = Source(
    title="MobileNetV2: Inverted Residuals and Linear Bottlenecks",
    authors="Sandler et al. 2018",
    url="arXiv:1801.04381",
)
MOBILENETV3 = Source(title="Searching for MobileNetV3", authors="Howard et al. 2019", url="arXiv:1905.02244")
NASNET = Source(
    title="Learning Transferable Architectures for Scalable Image Recognition",
    authors="Zoph et al. 2018",
    url="arXiv:1707.07012",
)
XCEPTION = Source(
    title="Xception: Deep Learning with Depthwise Separable Convolutions",
    authors="Chollet 2017",
    url="arXiv:1610.02357",
)
VGG = Source(
    title="Very Deep Convolutional Networks for Large-Scale Image Recognition",
    authors="Simonyan and Zisserman 2015",
    url="arXiv:1409.1556",
)
EFFICIENTNET = Source(
    title="EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks",
    authors="Tan and Le 2019",
    url="arXiv:1905.11946",
)
EFFICIENTNETV2 = Source(
    title="EfficientNetV2: Smaller Models and Faster Training",
    authors="Tan and Le 2021",
    url="arXiv:2104.00298",
)
CONVNEXT = Source(title="A ConvNet for the 2020s", authors="Liu et al. 2022", url="arXiv:2201.03545")
