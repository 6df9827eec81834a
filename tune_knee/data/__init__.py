"""Datasets: from LabelMe folders or the phantom, to memory-mapped arrays, to batches."""
