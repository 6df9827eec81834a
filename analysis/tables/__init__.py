"""Tables of a study: each module makes one kind, as data that CSV, LaTeX and HTML share."""
