"""The event stream for other programs: pages over the log, and the live stream."""
