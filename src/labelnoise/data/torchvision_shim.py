"""Import torchvision beside any build of torch.

The wheel of torchvision is compiled for CUDA. Beside a CPU build of torch its compiled operators
do not load, and `import torchvision` stops at "operator torchvision::nms does not exist" (then at
`torchvision::qnms`), although nothing here uses them. Declaring the schemas of the two missing
operators makes the pure-Python parts (datasets, models, transforms) importable. The operators
stay unusable: calling `torchvision.ops.nms` still raises, with torchvision's own explanation.
"""

import importlib
import re
import sys
from types import ModuleType

from torch import library

_BOXES = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
SCHEMAS = {"nms": _BOXES, "qnms": _BOXES}
"""The operators that may be declared, and their signature."""

DECLARED: list[str] = []
"""The operators that were missing and have been declared in this process; usually empty."""

_LIBRARIES: list[library.Library] = []
"""Kept alive, since a schema lasts only as long as the library object that defined it."""


def import_torchvision() -> ModuleType:
    """Return torchvision, imported; where its compiled operators do not load, without them.

    An operator is declared only after torchvision itself has complained that it is missing, so
    an installation that works is left alone. Any other failure is raised as it is.
    """
    while True:
        try:
            return importlib.import_module("torchvision")
        except RuntimeError as error:
            missing = re.search(r"torchvision::(\w+) does not exist", str(error))
            if not missing or missing[1] in DECLARED or missing[1] not in SCHEMAS:
                raise
            _declare(missing[1])
            _forget("torchvision")


def _declare(operator: str) -> None:
    fragment = library.Library("torchvision", "FRAGMENT")
    fragment.define(operator + SCHEMAS[operator])
    _LIBRARIES.append(fragment)
    DECLARED.append(operator)


def _forget(package: str) -> None:
    """Remove the half-imported modules that a failed import leaves behind."""
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        del sys.modules[name]
