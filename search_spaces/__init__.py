"""What to try, as data: the grids that ship, and the loader for a user's own."""
