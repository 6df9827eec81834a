"""Datasets: from DICOM, images or the phantom, to memory-mapped arrays, to batches."""
