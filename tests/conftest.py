"""What tests rely on: one thread, an output folder that vanishes, CUDA only where there is one."""

import multiprocessing
import os
import shutil
import tempfile
from multiprocessing import forkserver

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings

from labelnoise import data, noise
from labelnoise.runs.ledger import Ledger

# How fast hypothesis can draw says how busy the machine is, not whether a loss is right.
settings.register_profile("untimed", suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


def pytest_configure(config):
    # The notebooks run in processes of their own: the environment is the only way to tell them that
    # what they draw must not land in figures/ and tables/.
    config.out = tempfile.mkdtemp(prefix="labelnoise-tests-")
    os.environ["LABELNOISE_OUT"] = config.out
    # Two tests run at a time on two cores: where each kernel and process that they start had two
    # threads more, these would spend up to nine tenths of the time on waiting for each other.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    torch.set_num_threads(1)  # float sums depend on the number of threads


def pytest_unconfigure(config):
    shutil.rmtree(config.out, ignore_errors=True)


def pytest_collection_modifyitems(items):
    if torch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker("cuda"):
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device; torch sees none here"))


@pytest.fixture(scope="module")
def workers_start_quickly():
    """What the workers of a sweep import is imported once, by the server that forks them."""
    preload = ["labelnoise.training.methods", "sklearn.datasets", "torch._dynamo"]
    multiprocessing.set_forkserver_preload(preload)
    forkserver.ensure_running()


@pytest.fixture
def here(tmp_path) -> Ledger:
    """An empty ledger."""
    return Ledger(tmp_path / "here")


@pytest.fixture
def no_figure_is_left_open():
    """Figures are drawn without a screen, and closed after the test."""
    plt.switch_backend("Agg")
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """scikit-learn's digits: images, their true labels, and labels of which 20 % are wrong."""
    images, true = data.load("digits", "train")
    return images, true, noise.corrupt(true, noise.symmetric(10, 0.2), seed=0)[0]
