"""Names and definitions of all metrics, in the order in which they are reported."""

from __future__ import annotations

from dataclasses import dataclass

BINS = 15
"""Equal-width bins of the expected calibration error and of the reliability diagram."""
OPERATING_POINTS: tuple[float, ...] = (0.90, 0.95)
TOPS: tuple[int, ...] = (1, 2, 3)


@dataclass(frozen=True)
class Definition:
    """What a metric is.

    Args:
        name: Key in JSON.
        title: What a reader sees.
        text: The definition in a sentence.
        higher_is_better: How runs are sorted by it.
    """

    name: str
    title: str
    text: str
    higher_is_better: bool = True


_PRESENT = "mean over the classes that the part holds"

PER_CLASS: tuple[Definition, ...] = (
    Definition("precision", "Precision", "TP / (TP + FP); undefined where the class is never predicted."),
    Definition("recall", "Recall", "TP / (TP + FN), the sensitivity."),
    Definition("specificity", "Specificity", "TN / (TN + FP), one class against the rest."),
    Definition("f1", "F1", "2 TP / (2 TP + FP + FN)."),
    Definition("roc_auc", "ROC-AUC", "Area under the ROC curve, one class against the rest."),
    Definition(
        "average_precision", "Average precision", "Sum over thresholds of precision times the step in recall."
    ),
    Definition(
        "one_vs_rest_accuracy",
        "One-vs-rest accuracy (Eq. 12)",
        "(TP + TN) / all, as Eq. 12 of Nguyen et al. 2022 prints it; high for every rare class.",
    ),
    Definition(
        "paper_balanced_accuracy",
        "(Sensitivity + specificity) / 2 (Eq. 13)",
        "The 'balanced accuracy' of Eq. 13 of Nguyen et al. 2022; not macro recall.",
    ),
)

OVERALL: tuple[Definition, ...] = (
    Definition("accuracy", "Accuracy", "Share of cases whose most probable class is the true one."),
    *(
        Definition(
            f"top_{k}_accuracy",
            f"Top-{k} accuracy",
            f"Share of cases whose true class is among the {k} most probable; ties go by class order.",
        )
        for k in TOPS
    ),
    Definition("balanced_accuracy", "Balanced accuracy", f"Macro recall: {_PRESENT}."),
    Definition(
        "macro_precision",
        "Macro precision",
        f"Precision, {_PRESENT}; a class that is never predicted counts as 0.",
    ),
    Definition("macro_recall", "Macro recall", f"Recall, {_PRESENT}."),
    Definition("macro_f1", "Macro F1", f"F1, {_PRESENT}."),
    Definition("weighted_precision", "Weighted precision", "Precision, weighted by the cases of each class."),
    Definition("weighted_recall", "Weighted recall", "Recall, weighted by the cases of each class."),
    Definition("weighted_f1", "Weighted F1", "F1, weighted by the cases of each class."),
    Definition("macro_specificity", "Mean specificity", f"Specificity, {_PRESENT}."),
    Definition("roc_auc_macro", "ROC-AUC, macro", f"One-vs-rest ROC-AUC, {_PRESENT}."),
    Definition(
        "roc_auc_weighted", "ROC-AUC, weighted", "One-vs-rest ROC-AUC, weighted by the cases of each class."
    ),
    Definition("roc_auc_micro", "ROC-AUC, micro", "ROC-AUC over all pairs of case and class at once."),
    Definition(
        "average_precision_macro", "Average precision, macro", f"Average precision of a class, {_PRESENT}."
    ),
    Definition("matthews", "Matthews correlation", "Multi-class Matthews correlation coefficient."),
    Definition("cohen_kappa", "Cohen's kappa", "Agreement beyond chance, unweighted."),
    Definition(
        "log_loss",
        "Log loss",
        "Mean of -log of the true class's probability (natural logarithm; probabilities below 2.2e-16 count "
        "as that).",
        False,
    ),
    Definition(
        "brier", "Brier score", "Mean over cases of the sum over classes of squared errors; 0 to 2.", False
    ),
    Definition(
        "expected_calibration_error",
        "Expected calibration error",
        f"Top label, {BINS} bins of equal width: mean over cases of |accuracy - mean confidence| "
        "of the bin that the case lies in. It has no interval: draws of cases look less calibrated.",
        False,
    ),
    Definition(
        "one_vs_rest_accuracy",
        "One-vs-rest accuracy (Eq. 12)",
        f"(TP + TN) / all, {_PRESENT}; Eq. 12 of Nguyen et al. 2022. It is not accuracy.",
    ),
    Definition(
        "paper_balanced_accuracy",
        "(Sensitivity + specificity) / 2 (Eq. 13)",
        f"{_PRESENT.capitalize()}; Eq. 13 of Nguyen et al. 2022. It is not balanced accuracy.",
    ),
    *(
        Definition(
            f"melanoma_sensitivity_at_specificity_{level:.2f}",
            f"Melanoma sensitivity at specificity {level:.2f}",
            f"Highest sensitivity of any threshold on the melanoma probability with specificity of at least "
            f"{level:.2f}; the threshold is chosen on these cases.",
        )
        for level in OPERATING_POINTS
    ),
    *(
        Definition(
            f"melanoma_specificity_at_sensitivity_{level:.2f}",
            f"Melanoma specificity at sensitivity {level:.2f}",
            f"Highest specificity of any threshold on the melanoma probability with sensitivity of at least "
            f"{level:.2f}; the threshold is chosen on these cases.",
        )
        for level in OPERATING_POINTS
    ),
    Definition(
        "malignant_roc_auc",
        "Malignant against benign, ROC-AUC",
        "ROC-AUC of the summed probability of the malignant classes.",
    ),
)
OVERALL_BY_NAME = {definition.name: definition for definition in OVERALL}


def of_class(metric: str, class_name: str) -> str:
    """Return the key of a class's metric in flat tables: `recall[mel]`."""
    return f"{metric}[{class_name}]"
