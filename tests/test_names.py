"""A record's key is for ever: what every kind of run is called, held to the letter."""

import json
from dataclasses import replace

import pytest

from labelnoise.config import Run, loss_setting, noisy
from labelnoise.config.protocols import MNIST_PROTOCOL
from labelnoise.files import COMMITTED

CE = {"name": "CE", "parameters": {}}


def asked(dataset: str, noise: dict, model: str = "mlp", **changes: object) -> Run:
    return Run(dataset, noise, CE, model, MNIST_PROTOCOL, **changes)


def test_every_committed_config_makes_the_run_that_it_came_from():
    paths = [*COMMITTED.glob("*/*.json"), *COMMITTED.glob("float32/*/*.json")]
    assert len(paths) >= 700
    for path in paths:
        asked = json.loads(path.read_text())["config"]
        run = Run(**asked)
        assert json.dumps(run.config) == json.dumps(asked), path
        assert run.key == path.stem


# Each line of DESIGN's "names to come", with the part of the config that carries it.
NAMES = {
    "features": (asked("cifar10_features", noisy("symmetric", 0.6), "linear"),
                 {"dataset": "cifar10_features", "model": "linear"}),
    "a table": (asked("letter", noisy("symmetric", 0.6)), {"dataset": "letter", "model": "mlp"}),
    "one annotator": (asked("fashion_mnist_h", noisy("human", set="annotator")),
                      {"noise": {"kind": "human", "set": "annotator"}}),
    "the majority": (asked("fashion_mnist_h", noisy("human", set="majority")),
                     {"noise": {"kind": "human", "set": "majority"}}),
    "the worst of three": (asked("fashion_mnist_h", noisy("human", set="worst"), "cnn4"),
                           {"noise": {"kind": "human", "set": "worst"}}),
    "news": (asked("noisyag", noisy("human", set="annotator"), "word_cnn"),
             {"dataset": "noisyag", "noise": {"kind": "human", "set": "annotator"}}),
    "people on features": (asked("cifar10_features", noisy("human", set="aggre_label")),
                           {"noise": {"kind": "human", "set": "aggre_label"}}),
    "a twin": (asked("cifar10", noisy("twin", of="worse_label"), "cnn4"),
               {"noise": {"kind": "twin", "of": "worse_label"}}),
    "two probes": (asked("mnist", noisy("clean"), probe=("changed", "clipped")),
                   {"probe": ["clipped", "changed"]}),
    "an oracle": (replace(asked("fashion_mnist_h", noisy("human", set="worst")),
                          loss=loss_setting("Forward", T={"estimated": "oracle"})),
                  {"loss": {"name": "Forward", "parameters": {"T": {"estimated": "oracle"}}}}),
}  # fmt: skip


KEYS = {
    "features": "6b0fb1f80855e5a8",
    "a table": "89c6c6d4fd1436ef",
    "one annotator": "1a2068f0cd31b650",
    "the majority": "bbb0207bf76665fa",
    "the worst of three": "4874e0d0ece1feb0",
    "news": "af5c92baa0f67c51",
    "people on features": "e695de1574feb618",
    "a twin": "0ae2ed3ac393ed10",
    "two probes": "3f5c16ee9f4f1170",
    "an oracle": "3df9c5283841ea4e",
}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_to_come_is_in_the_config_as_it_was_fixed(name):
    run, expected = NAMES[name]
    assert {part: run.config[part] for part in expected} == expected
    assert Run(**run.config).key == run.key


def test_keys_of_names_to_come_stay():
    """Worked out once, when the names were fixed."""
    assert {name: run.key for name, (run, _) in NAMES.items()} == KEYS


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"noise": noisy("human", set="worse_label")}, "'worse_label' is unknown; known: annotat"),
        ({"dataset": "noisyag", "noise": noisy("twin", of="worst"), "model": "word_cnn"},
         "people's labels of noisyag 'worst' is unknown; known: annotator"),
        ({"noise": noisy("twin", of="nobody")}, "'nobody' is unknown; known: annotator, majority"),
        ({"dataset": "letter", "noise": noisy("twin", of="annotator")}, "only, not 'letter'"),
        ({"dataset": "mnist", "noise": noisy("twin", of="worse_label")},
         "exist for cifar10, cifar10_features, fashion_mnist_h, noisyag only, not 'mnist'"),
        ({"dataset": "letter", "noise": noisy("clean"), "model": "cnn4"},
         "'cnn4' reads images, but letter is numbers"),
        ({"dataset": "letter", "noise": noisy("instance", 0.3)}, "drawn from pixels"),
        ({"protocol": {k: v for k, v in MNIST_PROTOCOL.items() if k != "clip_norm"},
          "probe": ("clipped",)}, "the protocol has no clip_norm"),
    ],
)  # fmt: skip
def test_what_does_not_fit_together_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(asked("fashion_mnist_h", noisy("clean")), **changes)


def test_a_twin_must_say_of_what():
    with pytest.raises(ValueError, match=r"give of, e\.g\. of='worse_label'"):
        noisy("twin")
