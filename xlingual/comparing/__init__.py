"""Compare methods on a user's data: every run is a process, and one table has the results."""

from xlingual.comparing.collecting import compare_runs
from xlingual.comparing.comparison_table import Comparison, write_comparison
from xlingual.comparing.estimating import sample_unlabeled
from xlingual.comparing.methods import METHODS, Method
from xlingual.comparing.planning import choose_methods, plan_runs
from xlingual.comparing.run_settings import changed_settings, embedded_roles
from xlingual.comparing.running import ComparedRun, FinishedRun, run_all

__all__ = [
    "METHODS",
    "ComparedRun",
    "Comparison",
    "FinishedRun",
    "Method",
    "changed_settings",
    "choose_methods",
    "compare_runs",
    "embedded_roles",
    "plan_runs",
    "run_all",
    "sample_unlabeled",
    "write_comparison",
]
