"""Request rates: how many requests a person may send in a window of time, over all processes.

Here lives what counts and refuses; which requests are counted is decided where endpoints are guarded.
"""
