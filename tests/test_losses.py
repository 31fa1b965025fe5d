"""Every loss is its formula: worked out by hand, against ``theory.formulas`` (which ``test_theory``
proves), and by finite differences. Its settings are the published ones, and what is wrong with them
is refused."""

import json
import math

import numpy as np
import pytest
import torch

from labelnoise import losses, theory
from labelnoise.losses import CE, CLL, FL, GCE, LOSSES, NFL, PUBLISHED, Loss, Sum
from loss_cases import (
    CASES,
    EVERY,
    SETTINGS,
    at,
    batch,
    every,
    gradient,
    is_of_p,
    of,
    stops_a_gradient,
)

P = torch.linspace(0.001, 0.999, 999, dtype=torch.float64)


def test_every_loss_has_a_case():
    assert set(CASES) == set(LOSSES)


# ------------------------------------------------------------------------- values and gradients

BY_HAND = [(name, *worked) for name, case in CASES.items() for worked in case.by_hand]


@pytest.mark.parametrize(("name", "parameters", "y", "value"), BY_HAND, ids=str)
def test_the_value_is_the_one_worked_out_by_hand(name, parameters, y, value):
    logits = 3 + torch.tensor([[0.5, 0.25, 0.25]], dtype=torch.float64).log()
    found = of(name, **parameters)(logits, torch.tensor([y])).item()
    assert found == pytest.approx(value, rel=1e-13, abs=1e-14)


def holds(loss: Loss, logits: torch.Tensor, targets: torch.Tensor) -> None:
    """Value and gradient of ``loss`` are those of its formula."""
    value, pull = loss(logits, targets), gradient(loss, logits, targets)
    assert value.dtype == torch.float64
    p, y = torch.softmax(logits, dim=1).numpy(), targets.numpy()
    np.testing.assert_allclose(value.numpy(), theory.value(loss, p, y), rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(pull.numpy(), theory.dL_dz(loss, p, y), rtol=1e-9, atol=1e-11)


OF_P = [case for case in EVERY if is_of_p(of(case[0], **case[1]))]


@pytest.mark.parametrize(("name", "parameters"), OF_P, ids=str)
def test_value_and_gradient_are_the_formula(name, parameters):
    holds(of(name, **parameters), *batch())
    holds(of(name, **parameters), *batch(B=3, K=2, seed=4))


@pytest.mark.parametrize("name", dict.fromkeys(name for name, _ in OF_P))
def test_value_and_gradient_are_the_formula_for_many_classes(name):
    parameters = SETTINGS[name][-1]
    if parameters.get("p_min", 0) >= 1 / 100:
        parameters = {**parameters, "p_min": 1e-3}
    holds(of(name, **parameters), *batch(B=3, K=100, seed=4))


@pytest.mark.parametrize("parameters", SETTINGS["CE+LogitClip"], ids=str)
def test_ce_on_clipped_logits_is_ce_of_what_is_left_of_them(parameters):
    logits, targets = batch(B=40, K=3, spread=1.0)
    loss = of("CE+LogitClip", **parameters)
    norm, tau = logits.norm(dim=1, keepdim=True), loss.tau
    length = 1 / tau if loss.released else tau
    left = torch.where(norm > tau, length * logits / norm, logits)
    expected = CE(reduction="none")(left, targets)
    torch.testing.assert_close(loss(logits, targets), expected)
    assert len({*(norm > tau).flatten().tolist()}) == 2 or tau < 0.6


MOVING = [case for case in EVERY if not stops_a_gradient(case[1])]


@pytest.mark.parametrize(("name", "parameters"), MOVING, ids=str)
def test_autograd_agrees_with_finite_differences(name, parameters):
    logits, targets = batch(B=4, K=5, spread=1.5, seed=2)
    loss = of(name, "mean", **parameters)
    assert torch.autograd.gradcheck(lambda z: loss(z, targets), logits.requires_grad_())


def test_the_losses_with_a_published_stop_gradient_are_these():
    for table in PUBLISHED.values():
        assert {n for n, e in table.items() if stops_a_gradient(e["parameters"])} == {
            "FL", "NFL", "NFL+RCE"
        }  # fmt: skip


@pytest.mark.parametrize("loss", [FL, NFL])
def test_detach_changes_the_gradient_and_not_the_value(loss):
    logits, targets = batch()
    moving, held = (loss(0.5, detach=detach) for detach in (False, True))
    assert torch.equal(held(logits, targets), moving(logits, targets))
    difference = gradient(held, logits, targets) - gradient(moving, logits, targets)
    assert difference.abs().max() > 1e-4


@pytest.mark.parametrize("sigma", [0.1, 0.3, 0.5, 1.0])
def test_cll_target_is_steepest_where_the_error_is_sigma(sigma):
    miss = torch.linspace(1e-4, 1 - 1e-4, 9999, dtype=torch.float64)
    p = 1 - miss
    by_logit = gradient(CLL(sigma, reduction="sum"), *at(p))[:, 0].abs()
    by_p = by_logit / (p * (1 - p))
    assert miss[by_p.argmax()].item() == pytest.approx(sigma, abs=2e-4)


@pytest.mark.parametrize(("sigma", "p"), [(0.3, 0.64), (0.5, 0.50), (1.0, 0.38)])
def test_cll_target_pushes_the_logits_hardest_where_the_design_says(sigma, p):
    by_logit = gradient(CLL(sigma, reduction="sum"), *at(P))
    assert P[by_logit[:, 0].abs().argmax()].item() == pytest.approx(p, abs=0.006)


# ------------------------------------------------------------------------------------- settings


@every
def test_settings_are_what_the_constructor_takes_and_rebuild_the_loss(name, parameters):
    logits, targets = batch()
    loss = losses.build(name, **parameters)
    assert loss.name == name
    assert parameters.items() <= loss.settings().items()
    settings = json.loads(json.dumps(loss.settings()))
    again = losses.build(name, **settings)
    assert again.settings() == loss.settings() == settings
    assert torch.equal(again(logits, targets), loss(logits, targets))
    assert torch.equal(gradient(again, logits, targets), gradient(loss, logits, targets))


@pytest.mark.parametrize("name", LOSSES)
def test_defaults_are_those_of_the_papers(name):
    for parameters in CASES[name].settings:
        known = {**CASES[name].defaults, **parameters}
        assert losses.build(name, **parameters).settings() == known


def test_settings_and_repr_spell_every_parameter_out():
    assert losses.LogitClip(GCE(0.5)).settings() == {"tau": 1.5, "released": False, "q": 0.5}
    assert repr(GCE(0.5)) == "GCE(q=0.5)"


def test_a_wrapped_or_summed_loss_is_named_after_its_parts():
    assert losses.LogitClip(GCE(0.5)).name == "GCE+LogitClip"
    assert losses.clipped(GCE)(tau=0.5, q=0.3)(*batch()) == losses.LogitClip(GCE(0.3), 0.5)(
        *batch()
    )
    assert losses.Sum(GCE(0.5), losses.MAE()).name == "GCE+MAE"
    assert losses.Sum(GCE(0.5), losses.MAE(), name="ours").name == "ours"


def test_numbers_of_numpy_are_numbers():
    assert CLL(np.float64(0.5)).settings()["sigma"] == 0.5
    assert type(CLL(np.float64(0.5)).settings()["sigma"]) is float


# ----------------------------------------------------------------------------- published settings


@pytest.mark.parametrize("dataset", PUBLISHED)
def test_published_settings_build_and_name_their_source(dataset):
    for name, entry in PUBLISHED[dataset].items():
        assert set(entry) <= {"parameters", "source", "apl"}
        assert losses.build(name, **entry["parameters"]).name == name
        assert losses.build(name, **entry.get("apl", entry["parameters"]))
        assert len(entry["source"]) > 3
        assert entry.get("apl") != entry["parameters"], "apl stands there only where it differs"


def test_every_loss_but_ours_has_a_published_setting():
    assert set(LOSSES) - {"CLL"} == {name for table in PUBLISHED.values() for name in table}


FOCAL = {"gamma": 0.5, "detach": True}
ALFS = {  # lnl/config.py: MNIST, CIFAR-10, CIFAR-100; the beta of NCE+MAE is on 1 - p_y there
    "FL": (FOCAL, FOCAL, FOCAL),
    "NFL": (FOCAL, FOCAL, FOCAL),
    "GCE": ({"q": 0.7}, {"q": 0.7}, {"q": 0.7}),
    "NGCE": ({"q": 0.7}, {"q": 0.7}, {"q": 0.7}),
    "SCE": ((1, 1), (1, 1), (1, 1)),
    "AEL": ({"a": 3.5}, {"a": 2.5}, {"a": 2.5}),
    "AUL": ({"a": 3, "q": 0.1}, {"a": 5.5, "q": 3}, {"a": 5.5, "q": 3}),
    "AGCE": ({"a": 4, "q": 0.2}, {"a": 0.6, "q": 0.6}, {"a": 0.6, "q": 0.6}),
    "NFL+RCE": ((1, 100, FOCAL), (1, 1, FOCAL), (10, 1, FOCAL)),
    "NCE+RCE": ((1, 100), (1, 1), (10, 1)),
    "NCE+MAE": ((1, 100 / 2), (1, 1 / 2), (10, 1 / 2)),
    "NCE+AGCE": ((0, 1, {"a": 4, "q": 0.2}), (1, 4, {"a": 6, "q": 1.5}),
                 (10, 0.1, {"a": 1.8, "q": 3})),
    "NCE+AUL": ((0, 1, {"a": 3, "q": 0.1}), (1, 4, {"a": 6.3, "q": 1.5}),
                (10, 0.015, {"a": 6, "q": 3})),
    "NCE+AEL": ((0, 1, {"a": 3.5}), (1, 4, {"a": 5}), (10, 0.1, {"a": 1.5})),
}  # fmt: skip
APL = {  # its configs, where they differ from ALFs'
    "SCE": ((0.01, 1), (0.1, 1), (6, 0.1)),
    "NGCE": ({"q": 0.1}, {"q": 0.1}, None),
    "NCE+MAE": ((1, 10 / 2), None, None),
    "NCE+RCE": ((1, 10), None, (10, 0.1)),
    "NFL+RCE": ((1, 10, FOCAL), None, (10, 0.1, FOCAL)),
}


def spelt(setting: dict | tuple | None) -> dict | None:
    if not isinstance(setting, tuple):
        return setting
    return {"alpha": setting[0], "beta": setting[1], **(setting[2] if setting[2:] else {})}


@pytest.mark.parametrize("name", ALFS)
def test_published_settings_are_those_of_alfs_and_apl(name):
    for i, dataset in enumerate(("mnist", "cifar10", "cifar100")):
        entry = PUBLISHED[dataset][name]
        assert entry["parameters"] == spelt(ALFS[name][i])
        assert entry.get("apl") == spelt(APL[name][i] if name in APL else None)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.published])
def test_published_settings_are_those_of_the_other_papers(name):
    found = {d: table[name]["parameters"] for d, table in PUBLISHED.items() if name in table}
    assert found == CASES[name].published


# ------------------------------------------------------------------------------------- bad input

Z, Y = torch.zeros(4, 3), torch.zeros(4, dtype=torch.int64)

REFUSED_CALLS = {
    "empty batch": (Z[:0], Y[:0], r"at least one sample, got 0 and 0"),
    "unlike batch": (Z, Y[:3], r"share one batch .* got 4 and 3"),
    "logits 1-d": (Z[0], Y, r"logits must be floats of shape \[B, K\].* got \(3,\)"),
    "logits 3-d": (Z[None], Y, r"logits must be floats .* got \(1, 4, 3\)"),
    "one class": (Z[:, :1], Y, r"K >= 2, got \(4, 1\)"),
    "integer logits": (Z.long(), Y, r"logits must be floats .* torch\.int64"),
    "complex logits": (Z + 0j, Y, r"logits must be floats .* torch\.complex64"),
    "one-hot targets": (Z, torch.eye(4, 3).long(), r"targets must be int64 .* got \(4, 3\)"),
    "float targets": (Z, Y.float(), r"targets must be int64 .* torch\.float32"),
    "int32 targets": (Z, Y.int(), r"targets must be int64 .* torch\.int32"),
    "boolean targets": (Z, Y.bool(), r"targets must be int64 .* torch\.bool"),
    "scalar target": (Z, Y[0], r"targets must be int64 .* got \(\)"),
}


@pytest.mark.parametrize("case", REFUSED_CALLS)
@pytest.mark.parametrize("name", LOSSES)
def test_a_call_refuses_wrong_shapes_and_types_by_name(name, case):
    logits, targets, message = REFUSED_CALLS[case]
    loss = losses.build(name, **SETTINGS[name][0])
    with pytest.raises(ValueError, match=message):
        loss(logits, targets)


def test_nnce_refuses_more_classes_than_its_clamp_allows():
    logits, targets = batch(K=10)
    with pytest.raises(ValueError, match=r"p_min=0\.1 must be below 1/K for 10 classes"):
        losses.NNCE(0.1)(logits, targets)
    assert losses.NNCE(0.0999)(logits, targets) > 0


NO_NUMBERS = (math.nan, math.inf, -math.inf, True, "0.5", None, [0.5])
REFUSED_NUMBERS = [
    (name, {**case.settings[0], parameter: value}, parameter)
    for name, case in CASES.items()
    for parameter, values in case.outside.items()
    for value in (*values, *NO_NUMBERS)
] + [("AUL", {"a": 1.001, "q": 30.0}, "q")]


@pytest.mark.parametrize(("name", "parameters", "parameter"), REFUSED_NUMBERS, ids=str)
def test_a_number_outside_its_range_is_refused_by_name_and_value(name, parameters, parameter):
    with pytest.raises(ValueError, match=r"must be|too large") as refused:
        losses.build(name, **parameters)
    assert f"{parameter}={parameters[parameter]!r} " in str(refused.value)


@pytest.mark.parametrize("name", LOSSES)
def test_every_number_that_a_loss_takes_is_refused_outside_its_range_above(name):
    loss = of(name, **SETTINGS[name][0])
    if not isinstance(loss, Sum):  # its parts refuse what is theirs
        taken = {k for k, v in loss.settings().items() if type(v) in (int, float)}
        assert taken == set(CASES[name].outside)


REFUSED = {
    "sigma missing": ("CLL", {}, r"loss CLL: .*sigma"),
    "form": ("CLL", {"sigma": 1, "form": "l2"}, r"form='l2' is unknown; known: target, vector, el"),
    "normalise": ("CLL", {"sigma": 1, "normalise": 1}, r"normalise=1 must be True or False"),
    "detach": ("FL", {"detach": 1}, r"detach=1 must be True or False"),
    "detach nfl": ("NFL", {"detach": "yes"}, r"detach='yes' must be True or False"),
    "detach sum": ("NFL+RCE", {"detach": None}, r"detach=None must be True or False"),
    "released": ("CE+LogitClip", {"released": 0}, r"released=0 must be True or False"),
    "alpha and beta": ("SCE", {"alpha": 0, "beta": 0}, r"alpha and beta are both 0"),
    "weights of a sum": ("NCE+RCE", {"alpha": 0, "beta": 0}, r"alpha and beta are both 0"),
    "weights short": (
        "MixtureCLL",
        {"sigmas": [1, 2], "weights": [1]},
        r"sigmas=\[1, 2\] and weig",
    ),
    "weights none": ("MixtureCLL", {"sigmas": [], "weights": []}, r"sigmas=\[\] and weights=\[\]"),
    "weights sum": (
        "MixtureCLL",
        {"sigmas": [1, 2], "weights": [0.5, 0.6]},
        r"\[0.5, 0.6\] must s",
    ),
    "weights 0": ("MixtureCLL", {"sigmas": [1, 2], "weights": [0, 1]}, r"weights=0 must be a num"),
    "weights -": ("MixtureCLL", {"sigmas": [1, 2], "weights": [-1, 2]}, r"weights=-1 must be a n"),
    "weights number": ("MixtureCLL", {"sigmas": [1], "weights": 1}, r"weights=1 must be a list"),
    "sigmas number": ("MixtureCLL", {"sigmas": 1, "weights": [1]}, r"sigmas=1 must be a list"),
    "sigmas 0": ("MixtureCLL", {"sigmas": [0.3, 0], "weights": [0.5, 0.5]}, r"sigmas=0 must be"),
    "sigmas text": ("MixtureCLL", {"sigmas": "ab", "weights": [0.5, 0.5]}, r"sigmas='a' must be"),
    "a missing": ("NCE+AGCE", {"q": 1}, r"loss NCE\+AGCE: .*'a'"),
    "parameter": ("MAE", {"scale": 2}, r"loss MAE: .*'scale'"),
    "parameter of a sum": ("NCE+MAE", {"q": 2}, r"loss NCE\+MAE: .*'q'"),
    "parameter of clipped": ("CE+LogitClip", {"q": 2}, r"loss CE\+LogitClip: .*'q'"),
    "loss": ("CLLL", {}, r"loss 'CLLL' is unknown; known: CE, FL, GCE.*, MixtureCLL, .*, DMI$"),
    "case": ("ce", {}, r"loss 'ce' is unknown; known: CE"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_other_mistakes_are_refused_by_name_and_value(case):
    name, parameters, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        losses.build(name, **parameters)


@pytest.mark.parametrize("reduction", ["avg", "MEAN", None, 1])
@pytest.mark.parametrize("name", LOSSES)
def test_an_unknown_reduction_is_refused_with_the_known_ones(name, reduction):
    with pytest.raises(ValueError, match="is unknown; known: mean, sum, none") as refused:
        losses.build(name, **SETTINGS[name][0], reduction=reduction)
    assert f"reduction={reduction!r} " in str(refused.value)
