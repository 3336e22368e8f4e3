from .calibration import (
    Calibration as Calibration,
    apply_calibration as apply_calibration,
    expected_calibration_error as expected_calibration_error,
    fit_calibration_temperature as fit_calibration_temperature,
)
from .comparison import (
    MethodComparison as MethodComparison,
    SeedScores as SeedScores,
    cheapest_of_the_best as cheapest_of_the_best,
    compare_methods as compare_methods,
    holm_correction as holm_correction,
    mean_of_sets as mean_of_sets,
    resample_methods as resample_methods,
)
from .estimates import (
    AccuracyEstimate as AccuracyEstimate,
    accuracy_under_prior as accuracy_under_prior,
    average_thresholded_confidence as average_thresholded_confidence,
    difference_of_confidences as difference_of_confidences,
    estimate_accuracy as estimate_accuracy,
)
from .gap import (
    TransferSummary as TransferSummary,
    gap_recovered as gap_recovered,
    transfer_summary as transfer_summary,
)
from .intervals import (
    BootstrapScore as BootstrapScore,
    Interval as Interval,
    bootstrap_classification as bootstrap_classification,
    bootstrap_multi_label as bootstrap_multi_label,
    flatten_intervals as flatten_intervals,
    resample_classification as resample_classification,
    resample_multi_label as resample_multi_label,
)
from .metrics import (
    Accuracy as Accuracy,
    ConfusionMatrix as ConfusionMatrix,
    MacroF1 as MacroF1,
    MultiLabelF1 as MultiLabelF1,
    PerClassF1 as PerClassF1,
    TransferGap as TransferGap,
)
from .model_selection import bitext_agreement as bitext_agreement
from .ngrams import ngram_agreement as ngram_agreement
from .prediction_rows import (
    PredictionRows as PredictionRows,
    read_predictions as read_predictions,
    write_predictions as write_predictions,
)
from .scores import (
    classification_scores as classification_scores,
    confusion_matrix as confusion_matrix,
    label_set_majority_baseline as label_set_majority_baseline,
    majority_baseline as majority_baseline,
    multi_label_scores as multi_label_scores,
)
from .set_scores import (
    LabelPredictions as LabelPredictions,
    SetScores as SetScores,
    score_set as score_set,
)
from .target_accuracy import estimate_target_accuracy as estimate_target_accuracy
from .transfer_report import TransferReport as TransferReport
