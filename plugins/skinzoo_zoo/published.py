"""Published results of the Soft-Attention papers, by the run names of their repositories.

Nguyen et al. report validation images of an image-level split (protocol `paper`), on which the checkpoint
was chosen too; Datta et al. report a test part without crossing lesions on which the checkpoint was chosen
(protocol `datta`).
"""

from skinzoo.api import PublishedResult, Source

NGUYEN = Source(
    title="Skin lesion classification on imbalanced data using deep learning with soft attention",
    authors="Nguyen et al. 2022",
    url="doi:10.3390/s22197530",
)
DATTA = Source(
    title="Soft-Attention Improves Skin Cancer Classification Performance",
    authors="Datta et al. 2021",
    url="arXiv:2105.03358",
)
NORTHEASTERN = Source(
    title="Skin cancer classification with CNN and ADASYN (course report)", authors="Northeastern report"
)

_METRICS = ("accuracy", "macro_precision", "macro_recall", "macro_f1", "auc_weighted", "auc_macro")

# run: protocol, cases, the six metrics above, what differs from the variant as built here
_RUNS = {
    "M1": ("paper", 996, (0.89859, 0.8115, 0.8179, 0.8096, 0.9751, 0.9811), ""),
    "M7": ("paper", 996, (0.88554, 0.8422, 0.8277, 0.8337, 0.9645, 0.9782), ""),
    "M19": ("paper", 996, (0.70181, 0.5416, 0.6997, 0.5828, 0.9155, 0.9353), ""),
    "M21": ("paper", 1494, (0.56827, 0.3702, 0.5283, 0.3774, 0.8786, 0.8748), "15 percent validation"),
    "M23": ("paper", 996, (0.80924, 0.7158, 0.7816, 0.7441, 0.9498, 0.9663), ""),
    "M24": ("paper", 996, (0.77510, 0.6385, 0.7931, 0.6995, 0.9428, 0.9590), ""),
    "M25": ("paper", 996, (0.84337, 0.7503, 0.7989, 0.7685, 0.9593, 0.9747), "cut -28"),
    "M27": ("paper", 996, (0.86145, 0.7972, 0.8182, 0.8063, 0.9632, 0.9761), "cut -34"),
    "M29": ("paper", 996, (0.85341, 0.7662, 0.8083, 0.7855, 0.9611, 0.9755), "cut -44"),
    "M33": ("paper", 996, (0.86145, 0.7354, 0.8123, 0.7618, 0.9584, 0.9715), ""),
    "M34": ("paper", 996, (0.86446, 0.8064, 0.8124, 0.8077, 0.9505, 0.9663), ""),
    "A4": ("paper", 1494, (0.73159, 0.5363, 0.4388, 0.4745, 0.8801, 0.8836), "no metadata; 15 percent"),
    "A5": ("paper", 1494, (0.76975, 0.6033, 0.5184, 0.5487, 0.8945, 0.8885), "no metadata; 15 percent"),
    "D1": ("datta", 828, (0.93478, 0.8924, 0.7193, 0.7520, 0.9840, 0.9848), "no metadata"),
    "DenseNet201+SA": ("datta", 828, (0.90821, 0.8245, 0.7208, 0.75, 0.9756, 0.9716), "no metadata"),
    "ResNet50+SA": ("datta", 828, (0.91546, 0.8418, 0.6903, 0.75, 0.9786, 0.9809), "no metadata"),
    "ResNet34+SA": ("datta", 828, (0.87681, 0.6469, 0.5722, 0.60, 0.9571, 0.9626), "no metadata"),
    "VGG16+SA": ("datta", 828, (0.87681, 0.6901, 0.6733, 0.67, 0.9485, 0.9379), "no metadata"),
}


def published(*runs: str) -> tuple[PublishedResult, ...]:
    """Return the results of runs, the first one shown in `skinzoo list`.

    Args:
        *runs: Names of runs: M and A from Nguyen et al., the others from Datta et al.
    """
    return tuple(_result(run) for run in runs)


def _result(run: str) -> PublishedResult:
    protocol, cases, values, notes = _RUNS[run]
    differs = "attention as coded, BGR images" if run.startswith("M") else "attention as coded"
    return PublishedResult(
        source=(DATTA if protocol == "datta" else NGUYEN).authors,
        dataset="HAM10000",
        protocol=protocol,
        metrics=dict(zip(_METRICS, values, strict=True)),
        cases=cases,
        run=run,
        notes="; ".join(filter(None, (differs, notes))),
    )
