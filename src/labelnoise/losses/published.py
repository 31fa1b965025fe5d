"""``PUBLISHED[dataset][loss]``: the hyper-parameters of the published protocols, with their source.

``parameters`` follow ALFs where it has the loss; ``apl`` stands beside where the configs of APL
differ, for APL's own protocol (on MNIST: weight decay 1e-2, Nesterov momentum, a schedule that ends
at 1e-3, exactly as many flips in every class) and without its scale of 10 (NCE and, symmetric, NGCE
on MNIST, NFL on CIFAR-10); what neither has comes from its own paper or code. Parameters that a
loss has by default are left out. CLL's are not public: ``analysis/rules/mnist_symmetric.py`` says
how ours are chosen.

Conflicts that matter:

- MAE: ALFs has 2 (1 - p_y), which is ||e||_1 and ours; APL has 1 - p_y. Inside NCE+MAE the public
  code multiplies beta by 1 - p_y in both, so that beta is halved here.
- RCE and SCE: A = log 1e-4 = -9.21 in nearly all public code, -4 in the text of the SCE paper and
  in one repository.
- FL and NFL: public code holds the focal factor constant in the gradient (``detach``).
- AUL: "AUE" in code. ANormL (its form over all classes) is another loss and not here.
- On MNIST, NCE+AGCE, NCE+AUL and NCE+AEL have alpha = 0: they are AGCE, AUL and AEL.
"""

ALFS = "ALFs, hitcszx/ALFs lnl/config.py"
APL = "APL, HanxunH/Active-Passive-Losses configs"
EPS = "epsilon-softmax, NeurIPS 2024, its setting for CIFAR-10 with symmetric noise"
NONE = "no published setting for this data set"


def setting(source: str, apl: dict | None = None, **parameters: object) -> dict:
    return {"parameters": parameters, "source": source} | ({"apl": apl} if apl else {})


FOCAL = {"gamma": 0.5, "detach": True}

# What no published protocol of ours sets for a data set of its own.
ANYWHERE = {
    "CE": setting(ALFS),
    "MAE": setting(f"{ALFS} (2 (1 - p_y); APL's code has half of it)"),
    "MSE": setting("no parameter"),
    "RCE": setting(APL),
    "FL": setting(ALFS, **FOCAL),
    "NFL": setting(ALFS, **FOCAL),
    "NCE": setting(ALFS),
    "TaylorCE": setting(f"{NONE}; order of arXiv 2305.02139 on CIFAR-10", order=6),
    "PHuberCE": setting("dmizr/phuber: its default, and its setting for MNIST", tau=10.0),
    "ClippedCE": setting(f"{NONE}; ours: gives up on labels below p_y = 1 %"),
    "LabelSmoothing": setting(f"{NONE}; the customary value", epsilon=0.1),
    "CE+LogitClip": setting(f"{EPS}, 60 and 80 %: clipped to norm 1.5 (its code does so above "
                            "1/1.5, the formula above 1.5)", tau=1.5),
    "NNCE": setting("ANL, Virusdoll/Active-Negative-Loss config", p_min=1e-7),
    "GJS": setting("ours: pi = 1/2 is the Jensen-Shannon divergence itself; its paper has 0.1 to "
                   "0.9 on CIFAR, by noise", pi=0.5),
    "CE_eps+MAE": setting(EPS, alpha=0.01, beta=5.0, m=1e5),
    "LDR-KL": setting(f"{EPS}, and its MNIST config", lam=10.0),
    "GeneralisedCLL": setting("ours: the shape without a fading slope", alpha=1.0, beta=1.0),
    "MixtureCLL": setting("ours: two candidates of CLL, evenly", sigmas=[0.3, 1.0],
                          weights=[0.5, 0.5]),
}  # fmt: skip

PUBLISHED: dict[str, dict[str, dict]] = {
    "mnist": {
        **ANYWHERE,
        "GCE": setting(ALFS, q=0.7),
        "SCE": setting(f"{ALFS} (APL's configs have 0.01, 1)", alpha=1.0, beta=1.0,
                       apl={"alpha": 0.01, "beta": 1.0}),
        "NGCE": setting(f"{ALFS}", q=0.7, apl={"q": 0.1}),
        "NCE+MAE": setting(f"{ALFS}: 1, 100 on 1 - p_y", alpha=1.0, beta=50.0,
                           apl={"alpha": 1.0, "beta": 5.0}),
        "NCE+RCE": setting(ALFS, alpha=1.0, beta=100.0, apl={"alpha": 1.0, "beta": 10.0}),
        "NFL+RCE": setting(ALFS, alpha=1.0, beta=100.0, **FOCAL,
                           apl={"alpha": 1.0, "beta": 10.0, **FOCAL}),
        "ANL-CE": setting("ANL, Virusdoll/Active-Negative-Loss config/mnist_anl_ce.json; its L1 "
                          "term is part of the protocol", alpha=1.0, beta=1.0, p_min=1e-7),
        "AGCE": setting(ALFS, a=4.0, q=0.2),
        "AUL": setting(ALFS, a=3.0, q=0.1),
        "AEL": setting(ALFS, a=3.5),
        "NCE+AGCE": setting(ALFS, alpha=0.0, beta=1.0, a=4.0, q=0.2),
        "NCE+AUL": setting(ALFS, alpha=0.0, beta=1.0, a=3.0, q=0.1),
        "NCE+AEL": setting(ALFS, alpha=0.0, beta=1.0, a=3.5),
    },
    "cifar10": {
        **ANYWHERE,
        "PHuberCE": setting("dmizr/phuber: its setting for CIFAR-10", tau=2.0),
        "GCE": setting(ALFS, q=0.7),
        "SCE": setting(ALFS, alpha=1.0, beta=1.0, apl={"alpha": 0.1, "beta": 1.0}),
        "NGCE": setting(ALFS, q=0.7, apl={"q": 0.1}),
        "NCE+MAE": setting(f"{ALFS}: 1, 1 on 1 - p_y", alpha=1.0, beta=0.5),
        "NCE+RCE": setting(ALFS, alpha=1.0, beta=1.0),
        "NFL+RCE": setting(ALFS, alpha=1.0, beta=1.0, **FOCAL),
        "AGCE": setting(ALFS, a=0.6, q=0.6),
        "AUL": setting(ALFS, a=5.5, q=3.0),
        "AEL": setting(ALFS, a=2.5),
        "NCE+AGCE": setting(ALFS, alpha=1.0, beta=4.0, a=6.0, q=1.5),
        "NCE+AUL": setting(ALFS, alpha=1.0, beta=4.0, a=6.3, q=1.5),
        "NCE+AEL": setting(ALFS, alpha=1.0, beta=4.0, a=5.0),
    },
    "cifar100": {
        **{name: each for name, each in ANYWHERE.items()
           if name not in ("CE_eps+MAE", "LDR-KL", "CE+LogitClip")},
        "GCE": setting(ALFS, q=0.7),
        "SCE": setting(ALFS, alpha=1.0, beta=1.0, apl={"alpha": 6.0, "beta": 0.1}),
        "NGCE": setting(ALFS, q=0.7),
        "NCE+MAE": setting(f"{ALFS}: 10, 1 on 1 - p_y", alpha=10.0, beta=0.5),
        "NCE+RCE": setting(ALFS, alpha=10.0, beta=1.0, apl={"alpha": 10.0, "beta": 0.1}),
        "NFL+RCE": setting(ALFS, alpha=10.0, beta=1.0, **FOCAL,
                           apl={"alpha": 10.0, "beta": 0.1, **FOCAL}),
        "AGCE": setting(ALFS, a=0.6, q=0.6),
        "AUL": setting(ALFS, a=5.5, q=3.0),
        "AEL": setting(ALFS, a=2.5),
        "NCE+AGCE": setting(ALFS, alpha=10.0, beta=0.1, a=1.8, q=3.0),
        "NCE+AUL": setting(ALFS, alpha=10.0, beta=0.015, a=6.0, q=3.0),
        "NCE+AEL": setting(ALFS, alpha=10.0, beta=0.1, a=1.5),
        "CE_eps+MAE": setting("epsilon-softmax, NeurIPS 2024, CIFAR-100, symmetric 40 %",
                              alpha=0.03, beta=1.0, m=1e4),
        "LDR-KL": setting("epsilon-softmax, NeurIPS 2024, CIFAR-100", lam=1.0),
        "CE+LogitClip": setting("epsilon-softmax, NeurIPS 2024, CIFAR-100, symmetric", tau=0.5),
    },
}  # fmt: skip
