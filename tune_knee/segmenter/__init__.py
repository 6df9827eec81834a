"""A trained model in one file, and what it makes of pictures of any size."""
