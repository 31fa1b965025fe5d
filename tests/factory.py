"""Runs for tests: quick to train, or with a record that is made up."""

from labelnoise.experiments import MNIST_PROTOCOL, Run, noisy
from labelnoise.runs.sweep import Outcome


def quick(seed: int = 0, *, loss: str = "CE", epochs: int = 2, **changes: object) -> Run:
    """Half a second of training: the MLP on 300 digits, of which 60 % are mislabelled."""
    asked = {"noise": noisy("symmetric", 0.6), "loss": {"name": loss}, "model": "mlp"}
    protocol = {**MNIST_PROTOCOL, "epochs": epochs}
    return Run("digits", **{**asked, "protocol": protocol, "seed": seed, "subset": 300, **changes})


def outcome(
    run: Run,
    last: float | None = 95.0,
    *,
    curves: dict | None = None,
    source: str = "committed",
    provenance: dict | None = None,
    **result: object,
) -> Outcome:
    """A made-up record that ends at ``last``, in percent; None if it diverged. No two numbers are
    alike, and no two curves."""
    made = {
        "last": last, "best": 99.0, "val_chosen": 97.5, "noise_rate": 60.0, "fit_clean": 90.0,
        "fit_wrong": 5.0, "fit_true": 85.0, "diverged_at": 3 if last is None else None,
    }  # fmt: skip
    drawn = {
        "test_accuracy": [50.0, 60.0, last], "fit_wrong": [1.0, 3.0, 5.0],
        "fit_true": [70.0, 80.0, 85.0], "gradient_norm": [0.5, 0.25, 0.1],
    }  # fmt: skip
    record = {"result": {**made, **result}, "curves": drawn if curves is None else curves,
              "provenance": provenance or {}}  # fmt: skip
    return Outcome(run, record, source)
