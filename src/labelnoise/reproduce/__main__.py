"""``python -m labelnoise.reproduce``: the main job."""

import sys

from labelnoise.files import own_temporaries
from labelnoise.reproduce.job import main

own_temporaries()
sys.exit(main())
