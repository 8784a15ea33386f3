"""What a run's predictions are worth: metrics, intervals, calibration, subgroups, figures and reports."""
