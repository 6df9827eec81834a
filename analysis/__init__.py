"""Read a study from MLflow: load, aggregate, rank. Never imports torch or ray."""
