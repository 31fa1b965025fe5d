"""A run is plain data with a stable key; what is wrong with it is refused when it is made."""

import copy
import hashlib
import inspect
import json
import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from labelnoise import data, experiments, losses, noise
from labelnoise.cleaning import own_data
from labelnoise.cleaning.classifier import NetworkClassifier
from labelnoise.config import CrossValidation, Estimated, Noise, config_key, loss_setting
from labelnoise.config.protocols import (
    ANL_PROTOCOL,
    CIFAR10_PROTOCOL,
    CIFAR100_PROTOCOL,
    JAL_PROTOCOLS,
)
from labelnoise.experiments import (
    GRIDS,
    MNIST_PROTOCOL,
    PROFILES,
    Run,
    dmi,
    model_the_noise,
    noisy,
    profile_runs,
)
from labelnoise.experiments.dmi import MR_PROTOCOL
from labelnoise.experiments.model_the_noise import THIRTY

# The headline, as DESIGN 7 and the ALFs protocol have it. Committed records lie under its keys.
HEADLINE = {
    "dataset": "mnist",
    "noise": {"kind": "symmetric", "rate": 0.6, "keep_true": False, "exact": False},
    "loss": {"name": "CE", "parameters": {}},
    "model": "cnn4",
    "protocol": {
        "optimizer": "sgd",
        "epochs": 50,
        "batch": 128,
        "lr": 0.01,
        "momentum": 0.9,
        "weight_decay": 0.001,
        "schedule": "cosine",
        "clip_norm": 5.0,
    },
    "seed": 0,
    "val_fraction": 0.0,
    "probe": ["gradient"],
    "subset": None,
}
CLL_TARGET_1 = {
    "name": "CLL",
    "parameters": {"sigma": 1.0, "form": "target", "normalise": False},
}
CE = {"name": "CE", "parameters": {}}


def run(**changes: object) -> Run:
    setting = {
        "dataset": "digits",
        "noise": noisy("symmetric", 0.6),
        "loss": CE,
        "model": "mlp",
        "protocol": MNIST_PROTOCOL,
        **changes,
    }
    return Run(**setting)


# ------------------------------------------------------------------------------- config and key


def test_the_headline_is_what_the_papers_and_the_design_say():
    ce, cll = (r.config for r in experiments.headline(seeds=[0]))
    assert ce == HEADLINE
    assert cll == {**HEADLINE, "loss": CLL_TARGET_1}


def test_keys_never_change():
    assert [r.key for r in experiments.headline(seeds=[0])] == [
        "b54465f382997a04",
        "1dd408716c2b76e0",
    ]


def test_every_record_still_lies_under_the_key_of_its_run():
    """Making the run of a record again: a new setting or default must not move an old key."""
    records = sorted((Path(__file__).parents[1] / "results").glob("*/*.json"))
    assert len(records) >= 44
    for path in records:
        config = json.loads(path.read_text())["config"]
        assert Run(**config).config == config
        assert Run(**config).key == path.stem


@pytest.mark.parametrize("grid", GRIDS)
def test_the_key_is_the_hash_of_the_canonical_config(grid):
    for r in GRIDS[grid]():
        config = r.config
        assert json.loads(json.dumps(config, allow_nan=False)) == config
        canonical = json.dumps(config, sort_keys=True, separators=(",", ":"))
        assert r.key == hashlib.sha256(canonical.encode()).hexdigest()[:16]
        reordered = dict(reversed(config.items()))
        assert config_key(reordered) == r.key


def test_a_config_makes_its_run_again():
    for grid in GRIDS.values():
        for r in grid():
            assert Run(**r.config).config == r.config


def test_the_config_says_nothing_about_the_machine():
    words = ("device", "thread", "precision", "torch", "path", "commit", "version")
    assert not [w for w in words if w in json.dumps(HEADLINE)]
    assert set(HEADLINE) == set(run().config)


def test_spelling_a_default_out_does_not_make_another_run():
    short = run(loss={"name": "CLL", "parameters": {"sigma": 1}})
    assert run(loss=CLL_TARGET_1).key == short.key
    assert run(loss={"name": "CE"}).key == run(loss=CE).key
    assert run(loss={"name": "GCE"}).key == run(loss={"name": "GCE", "parameters": {"q": 0.7}}).key
    assert run(noise=noisy("symmetric", 0.6, keep_true=False, exact=False)).key == run().key
    assert run(seed=0, val_fraction=0, probe=[], subset=None).key == run().key


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 1},
        {"subset": 100},
        {"val_fraction": 0.1},
        {"probe": ("gradient",)},
        {"model": "cnn4"},
        {"dataset": "mnist"},
        {"noise": noisy("symmetric", 0.5)},
        {"noise": noisy("symmetric", 0.6, keep_true=True)},
        {"noise": noisy("symmetric", 0.6, exact=True)},
        {"noise": noisy("clean")},
        {"loss": {"name": "GCE"}},
        {"loss": {"name": "GCE", "parameters": {"q": 0.6}}},
        {"protocol": {**MNIST_PROTOCOL, "epochs": 49}},
        {"protocol": {**MNIST_PROTOCOL, "lr": 0.02}},
        {"protocol": {**MNIST_PROTOCOL, "l1": 1e-6}},
        {"protocol": {**MNIST_PROTOCOL, "augment": ("flip",)}},
        {"protocol": {**MNIST_PROTOCOL, "schedule": "constant"}},
        {"protocol": {k: v for k, v in MNIST_PROTOCOL.items() if k != "clip_norm"}},
    ],
    ids=str,
)
def test_whatever_changes_the_training_changes_the_key(changes):
    baseline = run(loss={"name": "GCE"}) if changes.get("loss", {}).get("parameters") else run()
    assert run(**changes).key != baseline.key


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ({"noise": noisy("symmetric", 1)}, {"noise": noisy("symmetric", 1.0)}),
        (
            {"protocol": {**MNIST_PROTOCOL, "lr": 1, "clip_norm": 5}},
            {"protocol": {**MNIST_PROTOCOL, "lr": 1.0, "clip_norm": 5.0}},
        ),
    ],
    ids=["rate", "protocol"],
)
def test_one_and_one_point_zero_are_the_same_run(a, b):
    assert run(**a).key == run(**b).key


def test_the_order_in_which_augmentations_are_listed_does_not_make_another_run():
    def augmented(*names: str) -> Run:
        return run(protocol={**MNIST_PROTOCOL, "augment": names})

    assert augmented("rotation", "crop", "flip").protocol["augment"] == ("crop", "flip", "rotation")
    assert augmented("flip", "crop").key == augmented("crop", "flip").key
    listed = run(protocol={**MNIST_PROTOCOL, "augment": ["crop", "flip"]})
    assert listed.key == augmented("crop", "flip").key
    assert Run(**listed.config).key == listed.key
    assert augmented("crop").key != augmented("flip").key


def test_the_published_protocols_are_those_of_their_code():
    """ALFs: lnl/main.py and lnl/dataset.py; L_DMI: MR/main.py."""
    assert CIFAR10_PROTOCOL == {
        "optimizer": "sgd", "epochs": 120, "batch": 128, "lr": 0.01, "momentum": 0.9,
        "weight_decay": 1e-4, "schedule": "cosine", "clip_norm": 5.0, "augment": ("crop", "flip"),
    }  # fmt: skip
    assert CIFAR100_PROTOCOL == {
        "optimizer": "sgd", "epochs": 200, "batch": 128, "lr": 0.1, "momentum": 0.9,
        "weight_decay": 1e-5, "schedule": "cosine", "clip_norm": 5.0,
        "augment": ("crop", "flip", "rotation"),
    }  # fmt: skip
    assert MR_PROTOCOL == {
        "optimizer": "adam", "epochs": 50, "batch": 128, "lr": 1e-3, "weight_decay": 0.0,
        "schedule": "constant",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("dataset", "noise", "model", "protocol"),
    [
        ("cifar10", noisy("symmetric", 0.6, exact=True), "cnn8", CIFAR10_PROTOCOL),
        ("cifar100", noisy("symmetric", 0.6, exact=True), "resnet34", CIFAR100_PROTOCOL),
        ("mr", noisy("dmi", 0.4, pattern="dependent-b"), "word_cnn", MR_PROTOCOL),
    ],
)
def test_the_published_protocols_make_runs_and_their_configs_make_them_again(
    dataset, noise, model, protocol
):
    r = Run(dataset, noise, CE, model, protocol)
    assert json.loads(json.dumps(r.config)) == r.config
    assert Run(**r.config) == r
    assert Run(**r.config).key == r.key


def test_a_run_does_not_change_with_the_dicts_that_made_it():
    setting, protocol = dict(SYMMETRIC), dict(MNIST_PROTOCOL)
    r = run(noise=setting, protocol=protocol)
    before = copy.deepcopy(r.config)
    setting["rate"], protocol["lr"] = 7, -1
    assert r.config == before


def test_labels_name_the_loss_as_tables_print_it():
    assert run().label == "CE"
    assert run(loss=CLL_TARGET_1).label == "CLL(target, sigma 1)"
    parameters = {"sigma": 0.5, "form": "vector", "normalise": True}
    assert run(loss={"name": "CLL", "parameters": parameters}).label == (
        "CLL(vector, sigma 0.5, normalised)"
    )


@pytest.mark.parametrize(
    ("name", "parameters", "label"),
    [
        ("GCE", {}, "GCE"),
        ("GCE", {"q": 0.3}, "GCE(q 0.3)"),
        ("AEL", {"a": 3.5}, "AEL"),
        ("AEL", {"a": 1.0}, "AEL(a 1)"),
        ("AGCE", {"a": 0.1, "q": 0.2}, "AGCE(a 0.1)"),
        ("AUL", {"a": 5.5, "q": 3.0}, "AUL(a 5.5, q 3)"),
        ("FL", {"detach": True}, "FL"),
        ("FL", {"gamma": 2, "detach": True}, "FL(gamma 2)"),
        ("FL", {}, "FL(detach False)"),
        ("RCE", {"A": -4}, "RCE(A -4)"),
        ("TaylorCE", {"order": 20}, "TaylorCE(order 20)"),
        ("NNCE", {"p_min": 1e-5}, "NNCE(p_min 1e-05)"),
        ("ANL-CE", {}, "ANL-CE"),
        ("NCE+RCE", {}, "NCE+RCE(beta 1)"),
        ("NCE+AGCE", {"alpha": 0, "a": 4, "q": 0.2}, "NCE+AGCE"),
        ("CE+LogitClip", {"released": True}, "CE+LogitClip(released True)"),
        ("MixtureCLL", {"sigmas": [0.3, 1], "weights": [0.5, 0.5]}, "MixtureCLL"),
        (
            "MixtureCLL",
            {"sigmas": [0.2], "weights": [1]},
            "MixtureCLL(sigmas [0.2], weights [1.0])",
        ),
    ],
)
def test_a_label_says_what_differs_from_the_published_mnist_setting(name, parameters, label):
    assert run(loss={"name": name, "parameters": parameters}).label == label


def test_labels_tell_the_losses_of_a_comparison_apart():
    every = {r.label for r in experiments.every_loss()}
    assert every == {"CLL(target, sigma 1)", *losses.PUBLISHED["mnist"]}
    assert len({r.label for r in experiments.ratio_sweep()}) == len(experiments.ratio_sweep())


# ------------------------------------------------------------------------------------- bad input


def protocol(**changes: object) -> dict:
    return {"protocol": {**MNIST_PROTOCOL, **changes}}


def without(name: str) -> dict:
    return {"protocol": {k: v for k, v in MNIST_PROTOCOL.items() if k != name}}


SYMMETRIC = noisy("symmetric", 0.6).as_config()
REFUSED = {
    "dataset": ({"dataset": "svhn"}, r"dataset 'svhn' is unknown; known: mnist, fashion_mnist"),
    "dataset of labels": ({"dataset": "cifar10n"}, r"dataset 'cifar10n' is unknown"),
    "text to an image network": (
        {"dataset": "mr", "noise": noisy("clean")},
        r"model 'mlp' reads images or numbers, but mr is text",
    ),
    "images to the word CNN": ({"model": "word_cnn"}, r"'word_cnn' reads text, but digits is imag"),
    "augmented text": (
        {
            "dataset": "mr",
            "noise": noisy("clean"),
            "model": "word_cnn",
            "protocol": {**MR_PROTOCOL, "augment": ("flip",)},
        },
        r"augment=flip is for images, but mr is text",
    ),
    "instance noise of text": (
        {"dataset": "mr", "noise": noisy("instance", 0.3), "model": "word_cnn"},
        r"instance noise is drawn from pixels, but mr is text",
    ),
    "model": ({"model": "vit"}, r"model 'vit' is unknown; known: cnn4, mlp"),
    "loss": ({"loss": {"name": "CLLL"}}, r"loss 'CLLL' is unknown; known: CE, FL, GCE"),
    "loss parameter": (
        {"loss": {"name": "GCE", "parameters": {"sigma": 1}}},
        r"loss GCE: .*'sigma'",
    ),
    "sigma": ({"loss": {"name": "CLL", "parameters": {"sigma": 0}}}, r"sigma=0 must be"),
    "no sigma": ({"loss": {"name": "CLL"}}, r"loss CLL: .*sigma"),
    "probe": ({"probe": ("hessian",)}, r"probe 'hessian' is unknown; known: gradient"),
    "seed": ({"seed": -1}, r"seed=-1 must be an integer of at least 0"),
    "seed float": ({"seed": 0.0}, r"seed=0\.0 must be an integer"),
    "seed bool": ({"seed": True}, r"seed=True must be an integer"),
    "subset": ({"subset": 1}, r"subset=1 must be an integer of at least 2"),
    "subset float": ({"subset": 100.0}, r"subset=100\.0 must be an integer"),
    "val 1": ({"val_fraction": 1}, r"val_fraction=1 must lie in \[0, 1\)"),
    "val -": ({"val_fraction": -0.1}, r"val_fraction=-0\.1 must lie"),
    "val nan": ({"val_fraction": math.nan}, r"val_fraction=nan must lie"),
    "rate": ({"noise": {**SYMMETRIC, "rate": 1.2}}, r"rate=1\.2 must be a number in \[0, 1\]"),
    "rate percent": ({"noise": {**SYMMETRIC, "rate": 60}}, r"rate=60 must be .* 0\.6 for 60 %"),
    "rate text": ({"noise": {**SYMMETRIC, "rate": "0.6"}}, r"rate='0\.6' must be a number"),
    "rate nan": ({"noise": {**SYMMETRIC, "rate": math.nan}}, r"rate=nan must be"),
    "instance rate": ({"noise": {"kind": "instance", "rate": -1}}, r"rate=-1 must be"),
    "noise kind": ({"noise": {"kind": "uniform"}}, r"noise kind 'uniform' is unknown; known: clea"),
    "noise empty": ({"noise": {}}, r"noise=\{\} must spell out its kind and every option"),
    "noise option": ({"noise": {**SYMMETRIC, "seed": 3}}, r"no option \['seed'\]; it has \['exa"),
    "noise not spelt out": (
        {"noise": {"kind": "symmetric", "rate": 0.6}},
        r"must spell out .* experiments\.noisy\(kind, rate, \.\.\.\)",
    ),
    "clean with a rate": ({"noise": {"kind": "clean", "rate": 0.1}}, r"must spell out"),
    "no asymmetric map": ({"noise": noisy("asymmetric", 0.4)}, r"dataset='digits' has no asymm"),
    "classes": ({"noise": noisy("dmi", 0.4)}, r"is for 2 classes; digits has 10"),
    "human elsewhere": ({"noise": noisy("human")}, r"exist for cifar10, .* only, not 'digits'"),
    "human set": (
        {"dataset": "cifar10", "noise": noisy("human", set="worst")},
        r"labels of cifar10 'worst' is unknown; known: aggre_label",
    ),
    "epochs 0": (protocol(epochs=0), r"epochs=0 must be an integer of at least 1"),
    "epochs float": (protocol(epochs=50.0), r"epochs=50\.0 must be an integer"),
    "batch 1": (protocol(batch=1), r"batch=1 must be an integer of at least 2"),
    "lr 0": (protocol(lr=0), r"lr=0 must be a number above 0"),
    "lr nan": (protocol(lr=math.nan), r"lr=nan must be"),
    "lr text": (protocol(lr="0.01"), r"lr='0\.01' must be"),
    "lr bool": (protocol(lr=True), r"lr=True must be"),
    "clip": (protocol(clip_norm=-5), r"clip_norm=-5 must be"),
    "momentum": (protocol(momentum=1), r"momentum=1 must lie in \[0, 1\)"),
    "decay": (protocol(weight_decay=-1e-3), r"weight_decay=-0\.001 must lie in \[0, "),
    "l1 0": (protocol(l1=0), r"l1=0 must be a number above 0"),
    "l1 -": (protocol(l1=-1e-6), r"l1=-1e-06 must be a number above 0"),
    "l1 nan": (protocol(l1=math.nan), r"l1=nan must be"),
    "l1 text": (protocol(l1="1e-6"), r"l1='1e-6' must be"),
    "l1 bool": (protocol(l1=True), r"l1=True must be"),
    "l1 none": (protocol(l1=None), r"l1=None must be"),
    "optimizer": (
        protocol(optimizer="rmsprop"),
        r"optimizer 'rmsprop' is unknown; known: sgd, adam",
    ),
    "adam with momentum": (protocol(optimizer="adam"), r"exactly the keys .*, got .*'momentum'"),
    "sgd without momentum": (without("momentum"), r"exactly the keys .*'momentum'.*, got"),
    "schedule": (protocol(schedule="step"), r"schedule 'step' is unknown; known: cosine, constant"),
    "augment unknown": (
        protocol(augment=("cutout",)),
        r"'cutout' is unknown; known: crop, flip, r",
    ),
    "augment twice": (
        protocol(augment=("flip", "flip")),
        r"augment=\('flip', 'flip'\) names one tw",
    ),
    "augment nothing": (
        protocol(augment=()),
        r"augment=\(\) must list some of crop, flip, rotation",
    ),
    "augment none": (protocol(augment=None), r"augment=None must list some of .* leave it out"),
    "augment text": (protocol(augment="crop"), r"augment='crop' must list some of"),
    "setting missing": (without("lr"), r"protocol must have exactly the keys .*, got .*'batch'"),
    "setting unknown": (protocol(nesterov=True), r"protocol must have exactly .* got .*'nesterov'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_mistake_is_refused_before_any_training_by_name_and_value(case):
    changes, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        run(**changes)


LOOSE = {
    "rate bool": ({"noise": {**SYMMETRIC, "rate": True}}, "rate=True"),
    "exact text": ({"noise": {**SYMMETRIC, "exact": "no"}}, "exact='no'"),
    "keep_true 1": ({"noise": {**SYMMETRIC, "keep_true": 1}}, "keep_true=1"),
    "noise none": ({"noise": None}, "noise=None"),
    "loss without a name": ({"loss": {}}, "name"),
    "loss misspelt": ({"loss": {"name": "GCE", "params": {"q": 0.3}}}, "params"),
    "reduction": ({"loss": {"name": "CE", "parameters": {"reduction": "sum"}}}, "reduction"),
    "lr inf": (protocol(lr=math.inf), "lr=inf"),
    "momentum text": (protocol(momentum="0.9"), "momentum='0.9'"),
    "momentum bool": (protocol(momentum=False), "momentum=False"),
    "val text": ({"val_fraction": "0.1"}, "val_fraction='0.1'"),
    "cifar10 pattern": ({"noise": noisy("dmi", 0.4, pattern="cifar10-dependent")}, "cifar10"),
}


@pytest.mark.parametrize("case", LOOSE)
def test_a_mistake_of_type_or_spelling_is_refused_by_name(case):
    changes, message = LOOSE[case]
    with pytest.raises(ValueError, match=message):
        run(**changes).key  # noqa: B018 (an infinite lr is found no sooner)


def test_noisy_spells_every_option_out():
    full = {"kind": "symmetric", "rate": 0.2, "keep_true": False, "exact": False}
    assert noisy("symmetric", 0.2).as_config() == full
    assert noisy("clean").as_config() == {"kind": "clean"}
    assert noisy("instance", 0.3).as_config() == {"kind": "instance", "rate": 0.3}
    raw = noisy("instance", 0.3, raw_pixels=True)
    assert raw.as_config() == {"kind": "instance", "rate": 0.3, "raw_pixels": True}
    assert run(noise=raw.as_config()).noise == raw
    assert noisy("human").as_config() == {"kind": "human", "set": "worse_label"}
    assert noisy("twin", of="worse_label").as_config() == {"kind": "twin", "of": "worse_label"}


@pytest.mark.parametrize("rate", [0.0, 0.2, 0.9, 1.0])
@pytest.mark.parametrize("pattern", ["independent", "dependent-a", "dependent-b"])
def test_forward_correction_knows_the_matrices_of_the_binary_tasks(pattern, rate):
    """A singular one (``independent`` at 1) included; a label that is never given is refused."""
    setting = noisy("dmi", rate, pattern=pattern)
    asked = {"dataset": "fashion_bag", "noise": setting, "model": "cnn2"}
    loss = {"name": "Forward", "parameters": {"T": setting}}
    if pattern != "independent" and rate == 1:
        with pytest.raises(ValueError, match=r"column [01] of T is all zeros"):
            run(**asked, loss=loss)
        return
    made = run(**asked, loss=loss)
    assert made.label == "Forward(true T)"
    p, labels = torch.tensor([[0.3, 0.7]] * 2), torch.tensor([0, 1])
    costs = made.loss.build(made.dataset).per_sample(p.log(), labels)
    given = p[0] @ torch.tensor(noise.dmi(pattern, rate), dtype=torch.float32)
    torch.testing.assert_close(costs.exp().reciprocal(), given)


def test_every_noise_setting_finds_its_matrix():
    cases = {
        "clean": noise.symmetric(10, 0),
        "symmetric": noise.symmetric(10, 0.3),
        "asymmetric": noise.asymmetric("cifar10", 0.3),
        "pairflip": noise.pairflip(10, 0.3),
        "dmi": noise.dmi("independent", 0.3),
    }
    for kind, T in cases.items():
        got = noisy(kind, 0.3).matrix("cifar10")
        assert (got == T).all(), kind
    keeping = noisy("symmetric", 0.3, keep_true=True).matrix("cifar10")
    assert (keeping == noise.symmetric(10, 0.3, keep_true=True)).all()
    assert noisy("instance", 0.3).matrix("cifar10") is None
    assert noisy("human").matrix("cifar10") is None


# ----------------------------------------------------------------------------- grids and profiles


@pytest.mark.parametrize("grid", GRIDS)
def test_no_grid_asks_for_a_run_twice(grid):
    keys = [r.key for r in GRIDS[grid]()]
    assert keys
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("profile", PROFILES)
def test_no_profile_trains_a_run_twice(profile):
    keys = [r.key for r in profile_runs(profile)]
    assert len(keys) == len(set(keys))


def test_profiles_hold_what_the_design_says():
    assert profile_runs("replay") == []
    assert [r.key for r in profile_runs("headline")] == [
        r.key for r in experiments.headline(seeds=[0])
    ]
    assert {r.dataset for r in profile_runs("smoke")} == {"digits"}
    gpu = {r.key for r in profile_runs("gpu")}
    assert gpu >= {r.key for r in [*experiments.headline(), *experiments.robust_losses()]}
    on_cpu = {r.key for r in profile_runs("cpu-full")}
    for grid in ("benchmark_mlp", "tuning", "human_objects", "human_clothes", "human_counted"):
        assert on_cpu >= {r.key for r in GRIDS[grid]()}, grid
    assert {r.model for r in profile_runs("cpu-full")} == {"mlp", "linear", "cnn4"}
    assert {"replay", "smoke", "headline", "gpu", "cpu-full"} <= set(PROFILES)


def test_comparisons_share_seeds_and_so_the_flips():
    by_loss = {}
    for r in [*experiments.headline(), *experiments.robust_losses()]:
        by_loss.setdefault(r.label, []).append((r.seed, str(r.noise), r.model, str(r.protocol)))
    assert len(by_loss) == 5
    assert len({tuple(settings) for settings in by_loss.values()}) == 1


def test_every_loss_is_compared_at_its_published_setting_and_at_the_headlines_protocol():
    runs = experiments.every_loss()
    known = {"CLL", *losses.PUBLISHED["mnist"]}
    assert [r.loss.name for r in runs] == [n for n in losses.LOSSES if n in known] * 3
    assert {r.seed for r in runs} == {0, 1, 2}
    for r in runs:
        name = r.loss.name
        chosen = experiments.CLL if name == "CLL" else experiments.published("mnist", name)
        assert r.loss == chosen
        assert {**r.config, "seed": 0, "loss": CE, "model": "cnn4"} == HEADLINE


def test_anl_trains_by_its_own_protocol():
    """Its config: no weight decay, an L1 penalty of 1e-6, and else that of ALFs."""
    assert ANL_PROTOCOL == {**MNIST_PROTOCOL, "weight_decay": 0.0, "l1": 1e-6}
    runs = experiments.anl()
    assert {r.loss.name for r in runs} == {"ANL-CE"}
    assert all(r.protocol == ANL_PROTOCOL for r in runs)
    assert not [r for r in experiments.every_loss() if "l1" in r.protocol]


def test_jal_exchanges_weight_decay_for_a_penalty_on_the_absolute_weights():
    for dataset, alfs in (("cifar10", CIFAR10_PROTOCOL), ("cifar100", CIFAR100_PROTOCOL)):
        l1 = {"cifar10": 5e-5, "cifar100": 5e-6}[dataset]
        assert JAL_PROTOCOLS[dataset] == {**alfs, "weight_decay": 0.0, "l1": l1}
        Run(dataset, SYMMETRIC, experiments.published(dataset, "JAL-CE"), "resnet34",
            JAL_PROTOCOLS[dataset])  # fmt: skip


def test_candidates_of_cll_are_chosen_without_test_data_or_wide_kernels():
    for r in experiments.cll_choice():
        assert r.val_fraction == 0.1
        assert r.loss.parameters["sigma"] <= 1
        assert r.protocol == MNIST_PROTOCOL
    assert len({r.label for r in experiments.cll_choice()}) == len(experiments.CLL_CANDIDATES)


def test_every_published_loss_of_a_grid_has_its_published_parameters():
    for name, entry in losses.PUBLISHED["mnist"].items():
        built = losses.build(name, **experiments.published("mnist", name).parameters)
        assert entry["parameters"].items() <= built.settings().items()


def value(of: Run) -> torch.Tensor:
    logits = torch.linspace(-3, 3, 100, dtype=torch.float64).view(10, 10).T
    loss = of.loss.build(of.dataset)
    return loss.per_sample(logits, torch.arange(10))


def test_every_matrix_that_an_answer_to_30_percent_is_told_is_that_of_its_noise():
    told = [
        r for r in experiments.thirty_percent() if isinstance(r.loss.parameters.get("T"), Noise)
    ]
    assert {r.loss.name for r in told} == {"Forward", "Backward"}
    assert all(r.loss.parameters["T"] == r.noise for r in told)


def test_the_cll_of_the_30_percent_is_the_one_that_was_chosen():
    assert model_the_noise.CLL == experiments.CLL


def test_the_lines_to_copy_are_what_own_labels_measures():
    runs = experiments.own_labels()
    as_printed = NetworkClassifier("GCE")
    judge = experiments.setting_of(as_printed.loss)
    folds = inspect.signature(own_data.out_of_sample).parameters["folds"].default
    assert {r.model for r in runs} == {as_printed.model}
    assert as_printed.protocol is None, "which means MNIST_PROTOCOL"
    assert all(r.protocol == MNIST_PROTOCOL for r in runs)
    counted = [r.loss.estimated for r in runs if r.loss.estimated]
    assert counted == [Estimated("confident_joint", folds, judge)] * 10
    pruned = [r for r in runs if r.method]
    assert [(r.loss, r.method.folds) for r in pruned] == [(judge, folds)] * 3
    assert {r.method.filter for r in pruned} == {"prune_by_noise_rate"}  # that of ``ranking``


def test_one_smoothing_of_the_30_percent_is_backward_correction_of_the_questions_noise():
    answers = [r for r in experiments.thirty_percent() if r.noise == THIRTY[0]]
    (backward, *_) = [r for r in answers if r.loss.name == "Backward"]
    negative = [r for r in answers if r.loss.parameters.get("epsilon", 0) < 0]
    assert len(negative) == 3
    for r in negative:
        torch.testing.assert_close(value(r), value(backward))


def test_where_the_assumed_rate_is_the_true_one_the_mixture_is_forward_correction():
    runs = experiments.assumed_rates()
    right = [r for r in runs if r.loss.parameters["rate"] == r.noise.rate]
    assert len(right) ** 2 == len(runs)
    for r in right:
        forward = replace(r, loss=loss_setting("Forward", T=r.noise))
        torch.testing.assert_close(value(r), value(forward))


def test_detectors_judge_30_percent_symmetric_noise_by_five_folds():
    for r in experiments.detectors():
        assert r.noise == noisy("symmetric", 0.3)
        assert r.method == CrossValidation(folds=5)


def test_the_comparison_with_l_dmi_is_one_protocol():
    """Whatever the loss: the same noises, seeds, networks, stages and held-out samples."""
    for grid, settings in (("dmi_fashion", 27), ("dmi_mr", 9), ("dmi_cifar10", 6), ("dmi_dogs", 9)):
        by_loss = {}
        for r in GRIDS[grid]():
            rest = {k: v for k, v in r.config.items() if k != "loss"}
            by_loss.setdefault(r.label, []).append(json.dumps(rest))
        assert set(by_loss) == {
            f"{name}, warm start"
            for name in ("CE", "Forward(true T)", "GCE", "CLL(target, sigma 1)", "DMI")
        }
        assert len({tuple(rest) for rest in by_loss.values()}) == 1
        assert len(by_loss["DMI, warm start"]) == settings
    assert experiments.CLL in dmi.compared(noisy("dmi", 0.2))
    assert not any("dmi" in r.noise.kind for r in profile_runs("cpu-full"))


def test_the_two_stages_of_l_dmi_are_those_of_its_code():
    """fashion/main.py, MR/main.py, CIFAR-10/CE.py and DMI.py; ours: clipping, and a cosine."""
    stages = {
        r.dataset: (r.method.protocol, r.protocol, r.val_fraction)
        for grid in ("dmi_fashion", "dmi_mr", "dmi_cifar10", "dmi_dogs")
        for r in GRIDS[grid]()
    }
    told = {
        name: [(p["optimizer"], p["lr"], p["epochs"], p["batch"]) for p in (first, second)]
        for name, (first, second, _) in stages.items()
    }
    assert told == {
        "fashion_bag": [("adam", 1e-4, 20, 128), ("adam", 1e-4, 20, 128)],
        "mr": [("adam", 1e-3, 50, 128), ("adam", 1e-4, 50, 128)],
        "cifar10": [("sgd", 0.1, 120, 256), ("sgd", 1e-6, 100, 256)],
        "dogs_vs_cats": [("sgd", 1e-4, 50, 128), ("sgd", 1e-5, 50, 128)],
    }
    assert round(60000 * stages["fashion_bag"][2]) == 10000
    assert all(p["weight_decay"] == 1e-4 for p in stages["cifar10"][:2])
    assert [p.get("clip_norm") for p in stages["fashion_bag"][:2]] == [None, 5.0]
    assert [p.get("clip_norm") for p in stages["cifar10"][:2]] == [None, None]
    assert [p.get("clip_norm") for p in stages["mr"][:2]] == [None, 5.0]
    assert [p["schedule"] for p in stages["cifar10"][:2]] == ["cosine", "constant"]
    assert all(p["augment"] == ("crop", "flip") for p in stages["cifar10"][:2])
    assert [stages[name][2] for name in ("mr", "cifar10")] == [0.2, 0.2]


def test_the_noises_and_networks_of_the_comparison_with_l_dmi_are_those_that_the_grids_say():
    asked = {grid: {(r.model, r.noise.pattern, r.noise.rate) for r in GRIDS[grid]()}
             for grid in ("dmi_fashion", "dmi_mr", "dmi_cifar10", "dmi_dogs")}  # fmt: skip
    assert asked == {
        "dmi_fashion": {("cnn2", p, r) for p in dmi.PATTERNS for r in (0.2, 0.4, 0.6)},
        "dmi_mr": {("word_cnn", "dependent-b", r) for r in (0.2, 0.4, 0.6)},
        "dmi_cifar10": {("resnet34", "cifar10-dependent", r) for r in (0.2, 0.4)},
        "dmi_dogs": {("resnet34", "dependent-b", r) for r in (0.2, 0.4, 0.6)},
    }


def test_runs_with_the_same_first_training_are_not_neighbours():
    """The second of two neighbours would train it beside the first, not after it."""
    for grid in ("dmi_fashion", "dmi_mr", "dmi_cifar10", "dmi_dogs"):
        first = [(r.noise, r.seed) for r in GRIDS[grid]()]
        assert all(a != b for a, b in pairwise(first))


def test_clean_labels_are_learnt_in_the_same_two_stages():
    def asked(grid: str) -> set[tuple]:
        return {(r.dataset, r.model, str(r.method), str(r.protocol), r.val_fraction)
                for r in GRIDS[grid]()}  # fmt: skip

    assert asked("dmi_clean") == asked("dmi_fashion") | asked("dmi_mr")
    settings = {(r.noise.kind, r.loss.name) for r in GRIDS["dmi_clean"]()}
    assert settings == {("clean", "CE")}


def test_a_cold_start_is_the_second_stage_alone_as_long_as_both():
    warm = {r.noise.pattern: r for r in GRIDS["dmi_fashion"]()
            if (r.noise.rate, r.seed, r.loss.name) == (0.4, 0, "DMI")}  # fmt: skip
    for cold in GRIDS["dmi_cold"]():
        of = warm[cold.noise.pattern]
        protocol = {**of.protocol, "epochs": of.epochs}
        assert cold.config == replace(of, protocol=protocol, method=None).config


@pytest.mark.parametrize("rate", dmi.RATES)
def test_the_rates_are_as_hard_as_the_grid_says(rate):
    for pattern in dmi.PATTERNS:
        T = noise.dmi(pattern, rate)
        assert np.linalg.det(T) == pytest.approx(1 - rate)
        majority = (T.argmax(axis=1) == [0, 1]).all()
        assert majority == (rate < 0.5 or pattern == "independent")


def test_an_unknown_profile_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"profile 'fast' is unknown; known: .*replay.*headline"):
        profile_runs("fast")


def test_every_data_set_with_images_can_be_asked_for():
    for name, info in data.INFO.items():
        if len(info.shape) == 3:
            assert run(dataset=name, noise=noisy("clean")).config["dataset"] == name
