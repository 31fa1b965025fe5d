"""What tests rely on: one thread, an output folder that vanishes, CUDA only where there is one."""

import os
import shutil
import tempfile

import pytest
import torch


def pytest_configure(config):
    # The notebooks run in processes of their own: the environment is the only way to tell them that
    # what they draw must not land in figures/ and tables/.
    config.out = tempfile.mkdtemp(prefix="labelnoise-tests-")
    os.environ["LABELNOISE_OUT"] = config.out
    torch.set_num_threads(1)  # float sums depend on the number of threads


def pytest_unconfigure(config):
    shutil.rmtree(config.out, ignore_errors=True)


def pytest_collection_modifyitems(items):
    if torch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker("cuda"):
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device; torch sees none here"))
