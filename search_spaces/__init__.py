"""What to try, as data: the grids and searches that ship, and the loader for a user's own."""

from search_spaces.grid import Grid
from search_spaces.loader import load_grid, load_search, load_space, space_names
from search_spaces.search import Search

__all__ = ["Grid", "Search", "load_grid", "load_search", "load_space", "space_names"]
