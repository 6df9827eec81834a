"""What to try, as data: the grids that ship, and the loader for a user's own."""

from search_spaces.grid import Grid
from search_spaces.loader import grid_names, load_grid

__all__ = ["Grid", "grid_names", "load_grid"]
