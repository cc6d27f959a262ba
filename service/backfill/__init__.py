"""Running segments: admission gives slots, the broker carries orders, workers take the steps at AMC.

The log is the truth: leases and messages may be lost at any moment, and are made anew from it.
"""
