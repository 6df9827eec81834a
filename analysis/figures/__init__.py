"""Figures of a study: each module draws one kind, from tables and nothing else."""
