"""Where records come from: what is missing is trained, here or on a cluster, and kept."""
