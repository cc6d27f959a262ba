"""Collections: a window of history cut into segments, how it is planned and how it is read."""
