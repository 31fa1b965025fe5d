"""``python -m labelnoise.reproduce``: the main job."""

import sys

from labelnoise.reproduce.job import main

sys.exit(main())
