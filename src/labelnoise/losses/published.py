"""How the hyper-parameters of a published protocol are written down beside the loss, in the
``PUBLISHED`` of its family's file: name -> data set -> ``setting``.

``parameters`` follow ALFs where it has the loss; ``apl`` stands beside where the configs of APL
differ, for APL's own protocol (on MNIST: weight decay 1e-2, Nesterov momentum, a schedule that ends
at 1e-3, exactly as many flips in every class) and without its scale of 10 (NCE and, symmetric, NGCE
on MNIST, NFL on CIFAR-10); what neither has comes from its own paper or code. Parameters that a
loss has by default are left out. CLL's are not public: ``analysis/rules/mnist_symmetric.py`` says
how ours are chosen.
"""

DATASETS = ("mnist", "cifar10", "cifar100")

ALFS = "ALFs, hitcszx/ALFs lnl/config.py"
APL = "APL, HanxunH/Active-Passive-Losses configs"
EPS = "epsilon-softmax, NeurIPS 2024, its setting for CIFAR-10 with symmetric noise"
NONE = "no published setting for this data set"


def setting(source: str, apl: dict | None = None, **parameters: object) -> dict:
    return {"parameters": parameters, "source": source} | ({"apl": apl} if apl else {})


def everywhere(same: dict) -> dict[str, dict]:
    """One setting for all data sets: no published protocol of ours sets it for one of its own."""
    return dict.fromkeys(DATASETS, same)
