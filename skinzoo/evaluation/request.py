"""The one service behind `skinzoo evaluate`: from what was asked for to everything measured."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from skinzoo.data.table import PARTS
from skinzoo.errors import one_of
from skinzoo.evaluation import evaluate as service
from skinzoo.evaluation.augmented import views
from skinzoo.evaluation.calibration import TEMPERATURE, check_method
from skinzoo.evaluation.combine import MEAN
from skinzoo.evaluation.conformal import check_coverage
from skinzoo.evaluation.evaluate import Evaluation, Provenance
from skinzoo.evaluation.intervals import check_draws
from skinzoo.evaluation.of_run import EXTERNAL, Chosen, cases_of_part, external_cases, predict_chosen
from skinzoo.evaluation.ood_of_run import OutOfDistribution, check_left_out, measure_ood
from skinzoo.evaluation.predictions import Predictions, read_predictions, write_predictions
from skinzoo.evaluation.predictor import Looking, Opened, Predictor, Progress, RunPredictor
from skinzoo.evaluation.report import write_report
from skinzoo.evaluation.robustness import measure_robustness
from skinzoo.evaluation.sources import Source, find_source
from skinzoo.extras import require
from skinzoo.files import write_json

FORMATS = ("csv", "parquet")
CALIBRATION_FILE = "calibration.json"


@dataclass(frozen=True, kw_only=True)
class EvaluationRequest:
    """What is to be evaluated, and how.

    Args:
        runs: Runs; several are combined. Empty where `predictions` is given.
        predictions: A predictions file.
        part: Part of the split.
        data: Where the data lie now.
        external: Other data, all of whose cases are evaluated instead.
        dataset: Which dataset `external` or `ood` is.
        combine: How several runs are combined.
        tta: Kind of test-time augmentation.
        against: Another run or file.
        validation: Predictions file to calibrate `predictions` on.
        calibrate: Method of the calibration on the validation part; None for none.
        coverage: Coverage of the prediction sets.
        corrupt: Whether to measure corrupted images too.
        ood: Data of another kind.
        ood_class: The only class of these that is taken.
        draws: Bootstrap draws.
        seed: Seed of draws, corruptions and forests.
        to: Folder of the report; that of the run unless given, and none for anything else.
        predictions_format: `csv` or `parquet`.
    """

    runs: tuple[str, ...] = ()
    predictions: Path | None = None
    part: str = "test"
    data: str | None = None
    external: str | None = None
    dataset: str | None = None
    combine: str = MEAN
    tta: str = "none"
    against: str | None = None
    validation: Path | None = None
    calibrate: str | None = None
    coverage: float = 0.9
    corrupt: bool = False
    ood: str | None = None
    ood_class: str | None = None
    draws: int = service.DRAWS
    seed: int = 0
    to: Path | None = None
    predictions_format: str = "csv"


def prepare(
    request: EvaluationRequest, given: Predictor | None = None, opened: Opened = RunPredictor
) -> PreparedEvaluation:
    """Find what is to be evaluated and check what needs no model.

    Args:
        request: What is asked for.
        given: What is evaluated where it is no run: anything that yields probabilities for the rows of a
            canonical table.
        opened: Makes a predictor of a run.

    Raises:
        UsageError: There is no such run, method, augmentation or format, or the runs do not fit together.
        DataError: The classes or splits of several runs differ.
        ModelError: A run is not finished.
        MissingExtraError: Parquet is to be written and pyarrow is not installed.
    """
    _check(request)
    if request.predictions_format not in FORMATS:
        raise one_of("predictions-format", request.predictions_format, FORMATS)
    if request.predictions_format == "parquet":
        require("pyarrow", extra="parquet", purpose="Writing a Parquet file")
    source = Source(given=given) if given is not None else None
    if request.runs and given is None:
        source = find_source(request.runs, request.combine, opened)
    against = None
    if request.against is not None and not _is_file(request.against):
        against = find_source([request.against], opened=opened)
    if source is not None and source.run is not None:
        check_left_out(request.ood_class, source.run.classes)
    return PreparedEvaluation(request, source, against)


@dataclass(frozen=True)
class PreparedEvaluation:
    """An evaluation whose sources are found and whose models are not loaded yet.

    Args:
        request: What was asked for.
        source: What is evaluated; None for a predictions file.
        other: The run of `against`; None for a file or where there is none.
    """

    request: EvaluationRequest
    source: Source | None
    other: Source | None

    @property
    def needs_model(self) -> bool:
        """Whether anything has to be predicted."""
        return self.source is not None or self.other is not None

    def evaluate(self, progress: Progress | None = None) -> Evaluation:
        """Predict what has to be predicted, and measure everything.

        Args:
            progress: Called with the numbers of images done and of all images.

        Raises:
            DataError: The data cannot be used, or do not fit what they are measured against.
            UsageError: An option is out of range.
            ModelError: A model cannot be read.
        """
        request, robustness, ood = self.request, None, None
        if self.source is not None:
            predictor = self.source.open(data=request.data, tta=request.tta, progress=progress)
            chosen = self._chosen(predictor)
            looking = Looking(request.tta, progress=progress)
            predictions, provenance = predict_chosen(predictor, chosen, looking)
            fitted, history = self._validation(predictor, looking), self.source.history()
            if request.corrupt:
                robustness = measure_robustness(
                    predictor,
                    chosen.rows,
                    chosen.whole,
                    predictions,
                    looking=looking,
                    draws=request.draws,
                    seed=request.seed,
                )
            ood = self._ood(progress)
        else:
            assert request.predictions is not None
            predictions, provenance = _of_file(request.predictions)
            fitted, history = None, []
            if request.validation is not None:
                fitted = read_predictions(request.validation, classes=predictions.classes)
        found = service.evaluate(
            predictions,
            provenance,
            validation=fitted,
            against=self._against(progress),
            calibration=request.calibrate or TEMPERATURE,
            coverage=request.coverage,
            draws=request.draws,
            seed=request.seed,
            history=history,
        )
        return dataclasses.replace(found, robustness=robustness, ood=ood)

    def write(self, found: Evaluation) -> Path | None:
        """Write the report and what belongs to it; None where nobody said where.

        A run keeps what was fitted on its validation part, so that an export can carry it.
        """
        request, folder = self.request, self.request.to
        own = self.source.folder if self.source is not None else None
        if folder is None and own is not None:
            folder = own / _place(request, found.provenance)
        if folder is None:
            return None
        if self.source is not None:
            for one in FORMATS:
                (folder / f"predictions.{one}").unlink(missing_ok=True)
            write_predictions(found.predictions, folder / f"predictions.{request.predictions_format}")
            if found.calibrated is not None:
                write_json((own or folder) / CALIBRATION_FILE, found.calibrated.parameters())
        if found.ood is not None:
            found.ood.write_scores(folder)
        return write_report(found, folder)

    def _chosen(self, predictor: Predictor) -> Chosen:
        if self.request.external is not None:
            return external_cases(predictor, self.request.external, self.request.dataset)
        return cases_of_part(predictor, self.request.part, self.request.data)

    def _validation(self, predictor: Predictor, looking: Looking) -> Predictions | None:
        if self.request.calibrate is None:
            return None
        return predict_chosen(predictor, cases_of_part(predictor, "validation", self.request.data), looking)[
            0
        ]

    def _ood(self, progress: Progress | None) -> OutOfDistribution | None:
        request = self.request
        if request.ood is None or self.source is None or self.source.run is None:
            return None
        return measure_ood(
            self.source.run,
            request.ood,
            dataset=request.dataset,
            left_out=request.ood_class,
            part=request.part,
            data=request.data,
            draws=request.draws,
            seed=request.seed,
            progress=progress,
        )

    def _against(self, progress: Progress | None) -> tuple[Predictions, Provenance] | None:
        request = self.request
        if self.other is not None:
            predictor = self.other.open(data=request.data, tta=request.tta, progress=progress)
            return predict_chosen(predictor, self._chosen(predictor), Looking(request.tta, progress=progress))
        return _of_file(Path(request.against)) if request.against is not None else None


def _check(request: EvaluationRequest) -> None:
    """Refuse at once what would be refused after minutes of predicting."""
    views(request.tta)
    if request.part not in PARTS:
        raise one_of("part", request.part, PARTS)
    if request.calibrate is not None:
        check_method(request.calibrate)
    check_coverage(request.coverage)
    check_draws(request.draws)


def _place(request: EvaluationRequest, provenance: Provenance) -> str:
    place = provenance.part if request.external is None else f"{EXTERNAL}-{provenance.dataset}"
    return place if request.tta == "none" else f"{place}-{request.tta}"


def _is_file(name: str) -> bool:
    return Path(name).suffix.lower() in (".csv", ".parquet")


def _of_file(path: Path) -> tuple[Predictions, Provenance]:
    name, above = path.name, path.absolute().parents
    if path.stem == "predictions" and len(above) > 2:
        # The usual name says nothing of what is in it; that of its run or folder does.
        name = above[2].name if above[1].name == "evaluation" else above[0].name
    return read_predictions(path), Provenance(name=name)
