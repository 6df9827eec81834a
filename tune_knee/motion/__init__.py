"""Motion from masks: what a segmented sequence says about how the knee moved."""
