"""How a run is trained: its machine, its task, the loop, and methods that train more than once."""
