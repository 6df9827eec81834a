"""The report: a study's tables, figures and verdict in one folder and one HTML page."""
